//! DescribeQuorum, key 55: who keeps the metadata. With one broker that is the broker itself.

use protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, ReplicaState, ResponsePartitionData,
    ResponseTopicData,
};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::DescribeQuorum, 0, 2);

/// Kafka's name of the metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// The first version that lists where voters listen.
const FIRST_WITH_NODES: i16 = 2;

pub(super) async fn handle(ctx: &Context, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let broker = &ctx.broker;
    let node_id = broker.config.node_id;
    let records = broker.controller.record_count();
    let topics = request.topics.into_iter().map(|topic| {
        let known = topic.topic_name == METADATA_TOPIC;
        let partitions = topic.partitions.iter().map(|partition| {
            let partition_index = partition.partition_index;
            if !known || partition_index != 0 {
                return ResponsePartitionData {
                    partition_index,
                    error_code: ErrorCode::UnknownTopicOrPartition.code(),
                    ..ResponsePartitionData::default()
                };
            }
            let timestamp = if ctx.version >= 1 { ctx.now_ms } else { -1 };
            let voter = ReplicaState {
                replica_id: node_id,
                log_end_offset: records,
                last_fetch_timestamp: timestamp,
                last_caught_up_timestamp: timestamp,
                ..ReplicaState::default()
            };
            ResponsePartitionData {
                partition_index,
                leader_id: node_id,
                leader_epoch: broker.controller.epoch(),
                high_watermark: records,
                current_voters: vec![voter],
                ..ResponsePartitionData::default()
            }
        });
        ResponseTopicData { partitions: partitions.collect(), topic_name: topic.topic_name }
    });
    let topics = topics.collect();
    let nodes = if ctx.version < FIRST_WITH_NODES {
        Vec::new()
    } else {
        let listeners = broker.endpoints.iter().map(|endpoint| Listener {
            name: protocol::Str::from_static(endpoint.protocol.name()),
            host: endpoint.host.clone(),
            port: endpoint.port,
        });
        vec![Node { node_id, listeners: listeners.collect() }]
    };
    DescribeQuorumResponse { topics, nodes, ..DescribeQuorumResponse::default() }
}
