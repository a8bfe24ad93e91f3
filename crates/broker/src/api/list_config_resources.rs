//! ListConfigResources, key 74: what has settings. Version 0 only knew telemetry subscriptions.

use protocol::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use super::config_resources::{BROKER, CLIENT_METRICS, GROUP, TOPIC};
use crate::context::Context;
use crate::metadata::record::SettingsOf;

pub(super) const API: Api = Api::new(ApiKey::ListConfigResources, 0, 1);

/// A broker's logger, which Kafka lists and which has no settings here.
const BROKER_LOGGER: i8 = 8;

pub(super) async fn handle(
    ctx: &Context,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let mut kinds = request.resource_types;
    if ctx.version == 0 {
        kinds = vec![CLIENT_METRICS];
    } else if kinds.is_empty() {
        kinds = vec![TOPIC, BROKER, CLIENT_METRICS, GROUP];
    }
    let broker = &ctx.broker;
    let mut config_resources = Vec::new();
    for kind in kinds {
        let names: Vec<Str> = match kind {
            TOPIC => broker.topics.all().iter().map(|topic| topic.name.clone()).collect(),
            BROKER => vec![Str::from(broker.config.node_id.to_string())],
            BROKER_LOGGER => Vec::new(),
            CLIENT_METRICS => names(ctx, SettingsOf::ClientMetrics),
            GROUP => names(ctx, SettingsOf::Group),
            _ => {
                let error_code = ErrorCode::UnsupportedVersion.code();
                return ListConfigResourcesResponse { error_code, ..ListConfigResourcesResponse::default() };
            }
        };
        let resource = |resource_name| ConfigResource {
            resource_name,
            // Version 0 has no place for the type.
            resource_type: if ctx.version == 0 { ConfigResource::default().resource_type } else { kind },
        };
        config_resources.extend(names.into_iter().map(resource));
    }
    ListConfigResourcesResponse { config_resources, ..ListConfigResourcesResponse::default() }
}

fn names(ctx: &Context, kind: SettingsOf) -> Vec<Str> {
    ctx.broker.controller.names_with_settings(kind).into_iter().map(Str::from).collect()
}
