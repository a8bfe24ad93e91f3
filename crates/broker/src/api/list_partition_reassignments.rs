//! ListPartitionReassignments, key 46. With one broker nothing is ever on its way to another.

use protocol::ApiKey;
use protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::ListPartitionReassignments, 0, 0);

pub(super) async fn handle(
    _ctx: &Context,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
