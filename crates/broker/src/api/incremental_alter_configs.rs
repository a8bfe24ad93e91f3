//! IncrementalAlterConfigs, key 44: sets, deletes, appends to and subtracts from single settings of a resource.

use protocol::messages::incremental_alter_configs::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use super::config_resources::{self, Change, Operation};
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::IncrementalAlterConfigs, 0, 1);

pub(super) async fn handle(
    ctx: &Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let validate_only = request.validate_only;
    let mut responses: Vec<_> = request
        .resources
        .into_iter()
        .map(|resource| {
            let changes: Result<Vec<Change>, _> = resource
                .configs
                .iter()
                .map(|config| {
                    Ok(Change {
                        name: config.name.to_string(),
                        operation: Operation::try_from(config.config_operation)?,
                        value: config.value.as_ref().map(ToString::to_string),
                    })
                })
                .collect();
            let kind = resource.resource_type;
            let changed = changes.and_then(|changes| {
                config_resources::change(ctx, kind, &resource.resource_name, changes, false, validate_only)
            });
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
    IncrementalAlterConfigsResponse { responses, ..IncrementalAlterConfigsResponse::default() }
}
