//! DescribeProducers, key 61: which idempotent producers a partition remembers.

use protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use super::repeated::keep_first;
use crate::context::Context;
use crate::partition::Partition;

pub(super) const API: Api = Api::new(ApiKey::DescribeProducers, 0, 0);

pub(super) async fn handle(ctx: &Context, request: DescribeProducersRequest) -> DescribeProducersResponse {
    let mut topics = request.topics;
    keep_first(&mut topics, |topic| topic.name.clone());
    let topics = topics.into_iter().map(|mut wanted| {
        keep_first(&mut wanted.partition_indexes, |index| *index);
        let topic = ctx.broker.topics.by_name(&wanted.name);
        let partitions = wanted.partition_indexes.iter().map(|index| {
            let partition = topic.as_ref().and_then(|topic| topic.partition(*index));
            let found = partition.ok_or(ErrorCode::UnknownTopicOrPartition).and_then(|it| producers(&it));
            let error_code = found.as_ref().err().map_or(0, |code| code.code());
            PartitionResponse {
                partition_index: *index,
                error_code,
                active_producers: found.unwrap_or_default(),
                ..PartitionResponse::default()
            }
        });
        TopicResponse { partitions: partitions.collect(), name: wanted.name }
    });
    DescribeProducersResponse { topics: topics.collect(), ..DescribeProducersResponse::default() }
}

fn producers(partition: &Partition) -> Result<Vec<ProducerState>, ErrorCode> {
    partition.inspect(|log| {
        let state = |it: log::ProducerInfo| ProducerState {
            producer_id: it.producer_id,
            producer_epoch: i32::from(it.epoch),
            last_sequence: it.last_sequence,
            last_timestamp: it.last_timestamp,
            coordinator_epoch: it.coordinator_epoch,
            current_txn_start_offset: it.transaction_start_offset.unwrap_or(-1),
        };
        log.producers().map(state).collect()
    })
}
