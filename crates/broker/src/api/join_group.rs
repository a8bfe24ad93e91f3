//! JoinGroup, key 11: asking to be a member of a group. Answered when the group has gathered.
//!
//! Versions: 1 tells the rebalance timeout apart from the session's; 4 is given an id first; 5 has static members;
//! 7 may be told that there is no protocol; 9 may be told that there is nothing to assign.

use protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use protocol::{ApiKey, ErrorCode, Str};
use uuid::Uuid;

use super::Api;
use crate::context::Context;
use crate::coordinator::group::{Client, Join, NO_GENERATION, Offer};

pub(super) const API: Api = Api::new(ApiKey::JoinGroup, 0, 9);

const TAKES_ID_FIRST: i16 = 4;
const PROTOCOL_MAY_BE_NULL: i16 = 7;
const MAY_SKIP_ASSIGNMENT: i16 = 9;

pub(super) async fn handle(ctx: &Context, request: JoinGroupRequest) -> JoinGroupResponse {
    let member_id = request.member_id.clone();
    let refused = |code: ErrorCode| JoinGroupResponse {
        error_code: code.code(),
        generation_id: NO_GENERATION,
        member_id,
        ..JoinGroupResponse::default()
    };
    let joined = ctx.broker.coordinator.join(join(ctx, request), &ctx.stop).await;
    let mut response = joined.unwrap_or_else(refused);
    if ctx.version < PROTOCOL_MAY_BE_NULL {
        response.protocol_name.get_or_insert_default();
    }
    response
}

fn join(ctx: &Context, request: JoinGroupRequest) -> Join {
    let offers = request.protocols.into_iter();
    let one_timeout_for_both = request.rebalance_timeout_ms < 0;
    Join {
        group: request.group_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        protocol_type: request.protocol_type,
        offers: offers.map(|offer| Offer { name: offer.name, metadata: offer.metadata }).collect(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if one_timeout_for_both {
            request.session_timeout_ms
        } else {
            request.rebalance_timeout_ms
        },
        client: Client { id: ctx.client_id.clone().unwrap_or_default(), host: Str::from(ctx.client_host()) },
        takes_id_first: ctx.version >= TAKES_ID_FIRST,
        may_skip_assignment: ctx.version >= MAY_SKIP_ASSIGNMENT,
        fresh: Uuid::new_v4(),
    }
}
