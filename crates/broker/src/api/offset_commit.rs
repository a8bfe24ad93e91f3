//! OffsetCommit, key 8: remember how far a group has read.
//!
//! Versions: 2 to 4 may say how long; 7 has static members; 9 is told that a group is missing; 10 names topics by id.

use protocol::messages::offset_commit::{
    OffsetCommitRequestTopic, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use crate::context::Context;
use crate::coordinator::group::{Commit, CommitEntry};

pub(super) const API: Api = Api::new(ApiKey::OffsetCommit, 2, 10);

const NAMES_MISSING_GROUP: i16 = 9;
const TOPICS_BY_ID: i16 = 10;

pub(super) async fn handle(ctx: &Context, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let mut entries = Vec::new();
    let mut topics: Vec<OffsetCommitResponseTopic> =
        request.topics.into_iter().map(|topic| collect(ctx, topic, &mut entries)).collect();
    if !entries.is_empty() {
        let commit = Commit {
            group: request.group_id,
            member_id: request.member_id,
            instance_id: request.group_instance_id,
            generation: request.generation_id_or_member_epoch,
            retention_ms: (request.retention_time_ms >= 0).then_some(request.retention_time_ms),
            names_missing_group: ctx.version >= NAMES_MISSING_GROUP,
            entries,
        };
        let outcome = ctx.broker.coordinator.commit(commit, &ctx.stop).await;
        fill(&mut topics, outcome);
    }
    OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
}

/// The answer for a topic, in which partitions that exist have no error yet; those are put among the entries.
fn collect(
    ctx: &Context,
    asked: OffsetCommitRequestTopic,
    entries: &mut Vec<CommitEntry>,
) -> OffsetCommitResponseTopic {
    let (topic, missing) = if ctx.version >= TOPICS_BY_ID {
        (ctx.broker.topics.by_id(asked.topic_id), ErrorCode::UnknownTopicId)
    } else {
        (ctx.broker.topics.by_name(&asked.name), ErrorCode::UnknownTopicOrPartition)
    };
    let mut partitions = Vec::with_capacity(asked.partitions.len());
    for partition in asked.partitions {
        let partition_index = partition.partition_index;
        let code = match &topic {
            None => missing,
            Some(topic) if !(0..topic.partition_count()).contains(&partition_index) => {
                ErrorCode::UnknownTopicOrPartition
            }
            Some(topic) => {
                entries.push(CommitEntry {
                    topic: topic.name.clone(),
                    topic_id: topic.id,
                    partition: partition_index,
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.committed_metadata.unwrap_or_default(),
                });
                ErrorCode::None
            }
        };
        partitions.push(OffsetCommitResponsePartition { partition_index, error_code: code.code() });
    }
    OffsetCommitResponseTopic { name: asked.name, topic_id: asked.topic_id, partitions }
}

/// Gives the partitions that were committed their codes, in the order in which they were collected.
fn fill(topics: &mut [OffsetCommitResponseTopic], outcome: Result<Vec<ErrorCode>, ErrorCode>) {
    let committed = topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions)
        .filter(|partition| partition.error_code == ErrorCode::None.code());
    match outcome {
        Ok(codes) => committed.zip(codes).for_each(|(partition, code)| partition.error_code = code.code()),
        Err(code) => committed.for_each(|partition| partition.error_code = code.code()),
    }
}
