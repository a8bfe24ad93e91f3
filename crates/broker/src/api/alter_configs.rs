//! AlterConfigs, key 33: replaces everything that is set for a resource. Deprecated, and still what old tools send.

use protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use super::config_resources::{self, Change, Operation};
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::AlterConfigs, 0, 2);

pub(super) async fn handle(ctx: &Context, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let validate_only = request.validate_only;
    let mut responses: Vec<_> = request
        .resources
        .into_iter()
        .map(|resource| {
            let changes = resource.configs.iter().map(|config| Change {
                name: config.name.to_string(),
                operation: Operation::Set,
                value: config.value.as_ref().map(ToString::to_string),
            });
            let kind = resource.resource_type;
            let changed = config_resources::change(
                ctx,
                kind,
                &resource.resource_name,
                changes.collect(),
                true,
                validate_only,
            );
            let (code, text) = changed.err().unzip();
            AlterConfigsResourceResponse {
                error_code: code.unwrap_or(ErrorCode::None).code(),
                error_message: text.map(Str::from),
                resource_type: kind,
                resource_name: resource.resource_name,
            }
        })
        .collect();
    if !validate_only && let Err(code) = ctx.broker.controller.sync().wait().await {
        responses.iter_mut().for_each(|response| response.error_code = code.code());
    }
    AlterConfigsResponse { responses, ..AlterConfigsResponse::default() }
}
