//! ListGroups, key 16: which groups there are. Version 4 filters by state, 5 by type.

use protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use protocol::{ApiKey, Str};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::ListGroups, 0, 5);

pub(super) async fn handle(ctx: &Context, request: ListGroupsRequest) -> ListGroupsResponse {
    let groups = match ctx.broker.coordinator.list() {
        Ok(groups) => groups,
        Err(code) => return ListGroupsResponse { error_code: code.code(), ..ListGroupsResponse::default() },
    };
    let is_wanted = |filter: &[Str], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let groups = groups
        .into_iter()
        .filter(|group| is_wanted(&request.states_filter, &group.group_state))
        .filter(|group| is_wanted(&request.types_filter, &group.group_type))
        .collect();
    ListGroupsResponse { groups, ..ListGroupsResponse::default() }
}
