//! Heartbeat, key 12: a member is alive, and learns whether it must join again. Version 3 has static members.

use protocol::ApiKey;
use protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::Heartbeat, 0, 4);

pub(super) async fn handle(ctx: &Context, request: HeartbeatRequest) -> HeartbeatResponse {
    let code = ctx.broker.coordinator.heartbeat(
        &request.group_id,
        &request.member_id,
        request.group_instance_id.as_ref(),
        request.generation_id,
    );
    HeartbeatResponse { error_code: code.code(), ..HeartbeatResponse::default() }
}
