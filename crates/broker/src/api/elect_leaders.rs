//! ElectLeaders, key 43. One broker leads everything: no election is ever needed.

use protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::ElectLeaders, 0, 2);

pub(super) async fn handle(ctx: &Context, request: ElectLeadersRequest) -> ElectLeadersResponse {
    // Asked about all partitions, Kafka tells only of those that something happened to.
    let asked = request.topic_partitions.unwrap_or_default();
    let results = asked.into_iter().map(|wanted| {
        let topic = ctx.broker.topics.by_name(&wanted.topic);
        let partitions = wanted.partitions.into_iter().map(|partition_id| {
            let exists = topic.as_ref().is_some_and(|topic| topic.partition(partition_id).is_some());
            let code = if exists { ErrorCode::ElectionNotNeeded } else { ErrorCode::UnknownTopicOrPartition };
            PartitionResult { partition_id, error_code: code.code(), error_message: None }
        });
        ReplicaElectionResult { partition_result: partitions.collect(), topic: wanted.topic }
    });
    ElectLeadersResponse { replica_election_results: results.collect(), ..ElectLeadersResponse::default() }
}
