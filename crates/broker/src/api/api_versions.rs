//! ApiVersions, key 18: what a client asks first.
//!
//! A version that we do not have is answered in version 0 with UNSUPPORTED_VERSION and the list, so that a newer client
//! can step down instead of losing its connection. From version 3 on the client says what it is, and is refused if that
//! is garbage, as Kafka does.

use protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::{Api, features};
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::ApiVersions, 0, 4);

/// The first version with a client's name, and with features in the answer.
const FIRST_WITH_NAMES: i16 = 3;

pub(super) async fn handle(ctx: &Context, request: ApiVersionsRequest) -> ApiVersionsResponse {
    if ctx.version < FIRST_WITH_NAMES {
        return ApiVersionsResponse { api_keys: keys(), ..ApiVersionsResponse::default() };
    }
    let fits = |name: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        name.chars().all(inner) && edge(name.chars().next()) && edge(name.chars().next_back())
    };
    if !fits(&request.client_software_name) || !fits(&request.client_software_version) {
        let error_code = ErrorCode::InvalidRequest.code();
        return ApiVersionsResponse { error_code, api_keys: keys(), ..ApiVersionsResponse::default() };
    }
    tracing::debug!(connection.id = ctx.peer.connection, client.software = %request.client_software_name,
        client.version = %request.client_software_version, "a client introduced itself");
    let supported = |feature: &features::Feature| SupportedFeatureKey {
        name: Str::from_static(feature.name),
        min_version: feature.min,
        max_version: feature.max,
    };
    let finalized = |feature: &features::Feature| FinalizedFeatureKey {
        name: Str::from_static(feature.name),
        max_version_level: feature.max,
        min_version_level: feature.max,
    };
    ApiVersionsResponse {
        api_keys: keys(),
        supported_features: features::FEATURES.iter().map(supported).collect(),
        finalized_features_epoch: ctx.broker.controller.record_count(),
        finalized_features: features::FEATURES.iter().map(finalized).collect(),
        ..ApiVersionsResponse::default()
    }
}

pub(super) fn keys() -> Vec<ApiVersion> {
    let mut keys: Vec<ApiVersion> = super::SERVED
        .iter()
        .map(|api| ApiVersion { api_key: api.key.code(), min_version: api.min, max_version: api.max })
        .collect();
    keys.sort_by_key(|key| key.api_key);
    keys
}
