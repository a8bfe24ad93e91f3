//! PushTelemetry, key 72: a client's metrics. Nothing was subscribed, so all that may come is a client's good-bye.

use protocol::messages::push_telemetry::{PushTelemetryRequest, PushTelemetryResponse};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use super::get_telemetry_subscriptions::EMPTY_SUBSCRIPTION;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::PushTelemetry, 0, 0);

pub(super) async fn handle(ctx: &Context, request: PushTelemetryRequest) -> PushTelemetryResponse {
    let code = if request.client_instance_id.is_nil() {
        ErrorCode::InvalidRequest
    } else if request.subscription_id != EMPTY_SUBSCRIPTION {
        ErrorCode::UnknownSubscriptionId
    } else if request.metrics.len() > ctx.broker.config.limits.telemetry_max_bytes {
        ErrorCode::TelemetryTooLarge
    } else {
        ErrorCode::None
    };
    PushTelemetryResponse { error_code: code.code(), ..PushTelemetryResponse::default() }
}
