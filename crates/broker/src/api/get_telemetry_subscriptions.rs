//! GetTelemetrySubscriptions, key 71: which of its metrics a client should send (KIP-714). None: the broker counts for
//! itself, and the client is told to ask again later.

use protocol::ApiKey;
use protocol::messages::get_telemetry_subscriptions::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};
use uuid::Uuid;

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::GetTelemetrySubscriptions, 0, 0);

/// Kafka's default interval; also how often a client asks for news of an empty subscription.
const PUSH_INTERVAL_MS: i32 = 300_000;

/// Stands for "no metrics wanted". Clients repeat it in PushTelemetry.
pub(super) const EMPTY_SUBSCRIPTION: i32 = 0;

/// zstd, lz4, gzip, snappy: in the order of preference.
const COMPRESSION_TYPES: [i8; 4] = [4, 3, 1, 2];

pub(super) async fn handle(
    ctx: &Context,
    request: GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let asked = request.client_instance_id;
    GetTelemetrySubscriptionsResponse {
        client_instance_id: if asked.is_nil() { Uuid::new_v4() } else { asked },
        subscription_id: EMPTY_SUBSCRIPTION,
        accepted_compression_types: COMPRESSION_TYPES.to_vec(),
        push_interval_ms: PUSH_INTERVAL_MS,
        telemetry_max_bytes: i32::try_from(ctx.broker.config.limits.telemetry_max_bytes).unwrap_or(i32::MAX),
        delta_temporality: true,
        ..GetTelemetrySubscriptionsResponse::default()
    }
}
