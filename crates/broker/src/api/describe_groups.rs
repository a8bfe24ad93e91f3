//! DescribeGroups, key 15: state and members of groups. From version 6 on a group that does not exist is an error,
//! before that it is dead.

use protocol::messages::describe_groups::DescribedGroup;
use protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use protocol::{ApiKey, ErrorCode, Str};

use super::repeated::keep_first;
use super::{Api, authorized};
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::DescribeGroups, 0, 6);

const SAYS_MISSING: i16 = 6;

pub(super) async fn handle(ctx: &Context, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let asked = request.include_authorized_operations;
    let mut groups = request.groups;
    keep_first(&mut groups, Str::clone);
    let groups = groups.into_iter().map(|group_id| describe(ctx, group_id, asked)).collect();
    DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() }
}

fn describe(ctx: &Context, group_id: Str, include_operations: bool) -> DescribedGroup {
    match ctx.broker.coordinator.describe(&group_id, ctx.version >= SAYS_MISSING) {
        Ok(mut described) => {
            if described.error_code == ErrorCode::None.code() {
                described.authorized_operations = authorized::group(include_operations);
            }
            described
        }
        Err(code) => DescribedGroup { error_code: code.code(), group_id, ..DescribedGroup::default() },
    }
}
