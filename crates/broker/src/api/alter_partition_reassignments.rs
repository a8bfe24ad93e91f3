//! AlterPartitionReassignments, key 45. With one broker every partition is where it can be: asking for that succeeds,
//! anything else names a broker that does not exist.

use protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use crate::context::Context;
use crate::topics::Topic;

pub(super) const API: Api = Api::new(ApiKey::AlterPartitionReassignments, 0, 1);

pub(super) async fn handle(
    ctx: &Context,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let node = ctx.broker.config.node_id;
    let responses = request.topics.into_iter().map(|wanted| {
        let topic = ctx.broker.topics.by_name(&wanted.name);
        let partitions = wanted.partitions.iter().map(|asked| {
            let (code, text) = judge(topic.as_deref(), asked, node).err().unzip();
            ReassignablePartitionResponse {
                partition_index: asked.partition_index,
                error_code: code.unwrap_or(ErrorCode::None).code(),
                error_message: text.map(Str::from_static),
            }
        });
        ReassignableTopicResponse { partitions: partitions.collect(), name: wanted.name }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses: responses.collect(),
        ..AlterPartitionReassignmentsResponse::default()
    }
}

fn judge(
    topic: Option<&Topic>,
    asked: &ReassignablePartition,
    node: i32,
) -> Result<(), (ErrorCode, &'static str)> {
    if topic.and_then(|topic| topic.partition(asked.partition_index)).is_none() {
        return Err((ErrorCode::UnknownTopicOrPartition, "there is no such partition"));
    }
    match asked.replicas.as_deref() {
        Some([only]) if *only == node => Ok(()),
        Some(_) => {
            Err((ErrorCode::InvalidReplicaAssignment, "there is one broker, and it has this partition"))
        }
        None => Err((ErrorCode::NoReassignmentInProgress, "nothing is being reassigned")),
    }
}
