//! IncrementalAlterConfigs, key 44: sets, deletes, appends to and subtracts from single settings of a resource.

use protocol::ApiKey;
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::Api;
use super::config_resources::{self, Change, Changed, How, Operation, Refused, Wanted};
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::IncrementalAlterConfigs, 0, 1);

pub(super) async fn handle(
    ctx: &Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let how = How { replace: false, validate_only: request.validate_only };
    let wanted = request.resources.into_iter().map(|resource| Wanted {
        kind: resource.resource_type,
        changes: resource.configs.iter().map(change).collect(),
        name: resource.resource_name,
    });
    let changed = config_resources::change_all(ctx, wanted.collect(), how).await;
    let responses = changed.into_iter().map(|changed| {
        let Changed { kind, name, error_code, error_message } = changed;
        AlterConfigsResourceResponse { error_code, error_message, resource_type: kind, resource_name: name }
    });
    IncrementalAlterConfigsResponse {
        responses: responses.collect(),
        ..IncrementalAlterConfigsResponse::default()
    }
}

fn change(config: &AlterableConfig) -> Result<Change, Refused> {
    Ok(Change {
        name: config.name.to_string(),
        operation: Operation::try_from(config.config_operation)?,
        value: config.value.as_ref().map(ToString::to_string),
    })
}
