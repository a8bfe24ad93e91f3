//! ApiVersions, key 18: what a client asks first.
//!
//! A version that we do not have is answered in version 0 with UNSUPPORTED_VERSION and the list, so that a newer
//! client can step down instead of losing its connection.

use protocol::ApiKey;
use protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::ApiVersions, 0, 4);

pub(super) async fn handle(_ctx: &Context, _request: ApiVersionsRequest) -> ApiVersionsResponse {
    ApiVersionsResponse { api_keys: keys(), ..ApiVersionsResponse::default() }
}

pub(super) fn keys() -> Vec<ApiVersion> {
    super::SERVED
        .iter()
        .map(|api| ApiVersion { api_key: api.key.code(), min_version: api.min, max_version: api.max })
        .collect()
}
