//! SyncGroup, key 14: the leader hands in who does what, everybody gets their part. Answered when that is stored.
//!
//! Versions: 3 has static members; 5 repeats protocol type and name, so that a member that has missed a generation
//! notices.

use protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use crate::context::Context;
use crate::coordinator::group::Sync;

pub(super) const API: Api = Api::new(ApiKey::SyncGroup, 0, 5);

const REPEATS_PROTOCOL: i16 = 5;

pub(super) async fn handle(ctx: &Context, request: SyncGroupRequest) -> SyncGroupResponse {
    let refused =
        |code: ErrorCode| SyncGroupResponse { error_code: code.code(), ..SyncGroupResponse::default() };
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if ctx.version >= REPEATS_PROTOCOL && !names_protocol {
        return refused(ErrorCode::InconsistentGroupProtocol);
    }
    let assignments = request.assignments.into_iter();
    let sync = Sync {
        group: request.group_id,
        generation: request.generation_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: assignments.map(|it| (it.member_id, it.assignment)).collect(),
    };
    ctx.broker.coordinator.sync(sync, &ctx.stop).await.unwrap_or_else(refused)
}
