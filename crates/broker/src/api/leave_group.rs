//! LeaveGroup, key 13: members go. From version 3 on several at once, and static ones by their name.

use protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use crate::context::Context;
use crate::coordinator::group::Leaver;

pub(super) const API: Api = Api::new(ApiKey::LeaveGroup, 0, 5);

const SEVERAL_AT_ONCE: i16 = 3;

pub(super) async fn handle(ctx: &Context, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let is_batch = ctx.version >= SEVERAL_AT_ONCE;
    let leavers: Vec<Leaver> = if is_batch {
        let members = request.members.into_iter();
        members
            .map(|member| Leaver { member_id: member.member_id, instance_id: member.group_instance_id })
            .collect()
    } else {
        vec![Leaver { member_id: request.member_id, instance_id: None }]
    };
    match ctx.broker.coordinator.leave(&request.group_id, &leavers, &ctx.stop).await {
        Ok(members) if is_batch => LeaveGroupResponse { members, ..LeaveGroupResponse::default() },
        Ok(members) => {
            let code = members.first().map_or(ErrorCode::None.code(), |member| member.error_code);
            LeaveGroupResponse { error_code: code, ..LeaveGroupResponse::default() }
        }
        Err(code) => LeaveGroupResponse { error_code: code.code(), ..LeaveGroupResponse::default() },
    }
}
