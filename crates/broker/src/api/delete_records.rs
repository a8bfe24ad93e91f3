//! DeleteRecords, key 21: moves the begin of a log forward. Offset -1 stands for everything there is.

use protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::DeleteRecords, 0, 2);

pub(super) async fn handle(ctx: &Context, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|wanted| {
        let topic = ctx.broker.topics.by_name(&wanted.name);
        let partitions = wanted.partitions.into_iter().map(|asked| {
            let deleted = topic.as_ref().ok_or(ErrorCode::UnknownTopicOrPartition).and_then(|topic| {
                let settings = topic.settings();
                // The broker keeps state in it. And a topic that is only compacted keeps the newest record of every key; that is what it is for.
                if topic.is_internal() {
                    return Err(ErrorCode::InvalidTopicException);
                }
                if settings.effective.compact && !settings.effective.delete {
                    return Err(ErrorCode::PolicyViolation);
                }
                let partition =
                    topic.partition(asked.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
                partition.delete_records(asked.offset)
            });
            DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: *deleted.as_ref().unwrap_or(&-1),
                error_code: deleted.err().unwrap_or(ErrorCode::None).code(),
            }
        });
        DeleteRecordsTopicResult { partitions: partitions.collect(), name: wanted.name }
    });
    DeleteRecordsResponse { topics: topics.collect(), ..DeleteRecordsResponse::default() }
}
