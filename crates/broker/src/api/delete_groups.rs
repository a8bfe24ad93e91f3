//! DeleteGroups, key 42: groups without members go, with all that they have committed.

use protocol::ApiKey;
use protocol::messages::delete_groups::DeletableGroupResult;
use protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::DeleteGroups, 0, 2);

pub(super) async fn handle(ctx: &Context, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in request.groups_names {
        let code = ctx.broker.coordinator.delete(&group_id, &ctx.stop).await;
        results.push(DeletableGroupResult { group_id, error_code: code.code() });
    }
    DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
}
