//! AlterConfigs, key 33: replaces everything that is set for a resource. Deprecated, and still what old tools send.

use protocol::ApiKey;
use protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::Api;
use super::config_resources::{self, Change, Changed, How, Operation, Wanted};
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::AlterConfigs, 0, 2);

pub(super) async fn handle(ctx: &Context, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let how = How { replace: true, validate_only: request.validate_only };
    let wanted = request.resources.into_iter().map(|resource| {
        let changes = resource.configs.iter().map(|config| Change {
            name: config.name.to_string(),
            operation: Operation::Set,
            value: config.value.as_ref().map(ToString::to_string),
        });
        Wanted { kind: resource.resource_type, changes: Ok(changes.collect()), name: resource.resource_name }
    });
    let changed = config_resources::change_all(ctx, wanted.collect(), how).await;
    let responses = changed.into_iter().map(|changed| {
        let Changed { kind, name, error_code, error_message } = changed;
        AlterConfigsResourceResponse { error_code, error_message, resource_type: kind, resource_name: name }
    });
    AlterConfigsResponse { responses: responses.collect(), ..AlterConfigsResponse::default() }
}
