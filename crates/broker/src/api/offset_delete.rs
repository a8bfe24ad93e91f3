//! OffsetDelete, key 47: forget what a group has committed, except for topics that its members read.

use protocol::messages::offset_delete::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::OffsetDelete, 0, 0);

pub(super) async fn handle(ctx: &Context, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let failed =
        |code: ErrorCode| OffsetDeleteResponse { error_code: code.code(), ..OffsetDeleteResponse::default() };
    if request.group_id.is_empty() {
        return failed(ErrorCode::InvalidGroupId);
    }
    let mut existing: Vec<(Str, i32)> = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let count = ctx.broker.topics.by_name(&asked.name).map_or(0, |topic| topic.partition_count());
        let partitions = asked.partitions.iter().map(|partition| {
            let partition_index = partition.partition_index;
            let code = if (0..count).contains(&partition_index) {
                existing.push((asked.name.clone(), partition_index));
                ErrorCode::None
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            OffsetDeleteResponsePartition { partition_index, error_code: code.code() }
        });
        let partitions = partitions.collect();
        topics.push(OffsetDeleteResponseTopic { name: asked.name, partitions });
    }
    let codes = match ctx.broker.coordinator.delete_offsets(&request.group_id, existing, &ctx.stop).await {
        Ok(codes) => codes,
        Err(code) => return failed(code),
    };
    let asked_for = topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions)
        .filter(|partition| partition.error_code == ErrorCode::None.code());
    asked_for.zip(codes).for_each(|(partition, code)| partition.error_code = code.code());
    OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() }
}
