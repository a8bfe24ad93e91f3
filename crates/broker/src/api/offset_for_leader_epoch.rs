//! OffsetForLeaderEpoch, key 23: where a leader epoch ended, so that a consumer notices when a log was cut below it.

use protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use crate::context::Context;
use crate::topics::Topic;

pub(super) const API: Api = Api::new(ApiKey::OffsetForLeaderEpoch, 2, 4);

pub(super) async fn handle(
    ctx: &Context,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|wanted| {
        let topic = ctx.broker.topics.by_name(&wanted.topic);
        let partitions = wanted.partitions.iter().map(|asked| {
            let partition = asked.partition;
            match find(topic.as_deref(), asked) {
                Ok((leader_epoch, end_offset)) => {
                    EpochEndOffset { error_code: 0, partition, leader_epoch, end_offset }
                }
                Err(code) => {
                    EpochEndOffset { error_code: code.code(), partition, leader_epoch: -1, end_offset: -1 }
                }
            }
        });
        OffsetForLeaderTopicResult { partitions: partitions.collect(), topic: wanted.topic }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..OffsetForLeaderEpochResponse::default() }
}

fn find(topic: Option<&Topic>, asked: &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode> {
    let partition =
        topic.and_then(|topic| topic.partition(asked.partition)).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    partition.check_epoch(asked.current_leader_epoch)?;
    partition.epoch_end(asked.leader_epoch)
}
