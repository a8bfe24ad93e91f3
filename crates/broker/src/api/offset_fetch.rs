//! OffsetFetch, key 9: how far groups have read.
//!
//! Versions: 2 asks for all partitions at once; 7 asks not to see what a transaction may still change (nothing may,
//! until there are transactions); 8 asks for many groups; 9 says who asks; 10 names topics by id.

use protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use super::Api;
use super::repeated::keep_first;
use crate::context::Context;
use crate::coordinator::group::{Fetched, Shard};

pub(super) const API: Api = Api::new(ApiKey::OffsetFetch, 1, 10);

const ERROR_FOR_ALL: i16 = 2;
const MANY_GROUPS: i16 = 8;
const TOPICS_BY_ID: i16 = 10;

pub(super) async fn handle(ctx: &Context, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if ctx.version >= MANY_GROUPS {
        let mut groups = request.groups;
        keep_first(&mut groups, |group| group.group_id.clone());
        let groups = groups.into_iter().map(|asked| fetch(ctx, asked)).collect();
        return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
    }
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..OffsetFetchRequestTopics::default()
        });
        topics.collect::<Vec<_>>()
    });
    let asked =
        OffsetFetchRequestGroup { group_id: request.group_id, topics, ..OffsetFetchRequestGroup::default() };
    let wanted = asked.topics.clone().unwrap_or_default();
    let mut group = fetch(ctx, asked);
    if ctx.version < ERROR_FOR_ALL && group.error_code != ErrorCode::None.code() {
        let code = group.error_code;
        group.topics = wanted.into_iter().map(|topic| all_fail(topic, code)).collect();
    }
    OffsetFetchResponse {
        error_code: group.error_code,
        topics: group.topics.into_iter().map(in_old_form).collect(),
        ..OffsetFetchResponse::default()
    }
}

fn fetch(ctx: &Context, asked: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let OffsetFetchRequestGroup { group_id, mut topics, member_epoch, .. } = asked;
    if let Some(topics) = &mut topics {
        keep_first(topics, |topic| (topic.name.clone(), topic.topic_id));
        topics.iter_mut().for_each(|topic| keep_first(&mut topic.partition_indexes, |index| *index));
    }
    let found = ctx.broker.coordinator.read(&group_id, |shard| {
        // Who claims to be a member of a group that does not exist is told; others just find nothing committed.
        if member_epoch >= 0 && !shard.contains(&group_id) {
            return Err(ErrorCode::GroupIdNotFound);
        }
        Ok(match topics {
            Some(topics) => topics.into_iter().map(|topic| named(ctx, shard, &group_id, topic)).collect(),
            None => everything(ctx, shard, &group_id),
        })
    });
    match found.and_then(|found| found) {
        Ok(topics) => OffsetFetchResponseGroup { group_id, topics, ..OffsetFetchResponseGroup::default() },
        Err(code) => OffsetFetchResponseGroup {
            group_id,
            error_code: code.code(),
            ..OffsetFetchResponseGroup::default()
        },
    }
}

fn named(
    ctx: &Context,
    shard: &Shard,
    group: &str,
    asked: OffsetFetchRequestTopics,
) -> OffsetFetchResponseTopics {
    let (name, id) = if ctx.version >= TOPICS_BY_ID {
        match ctx.broker.topics.by_id(asked.topic_id) {
            Some(topic) => (topic.name.clone(), topic.id),
            None => return all_fail(asked, ErrorCode::UnknownTopicId.code()),
        }
    } else {
        (asked.name.clone(), ctx.broker.topics.by_name(&asked.name).map_or(Uuid::nil(), |topic| topic.id))
    };
    let one = |at: i32| partition(at, shard.fetch(group, &name, id, at).unwrap_or_else(Fetched::none));
    OffsetFetchResponseTopics {
        partitions: asked.partition_indexes.into_iter().map(one).collect(),
        name: asked.name,
        topic_id: asked.topic_id,
    }
}

/// By id, topics that are gone since cannot be named and are left out.
fn everything(ctx: &Context, shard: &Shard, group: &str) -> Vec<OffsetFetchResponseTopics> {
    let by_id = ctx.version >= TOPICS_BY_ID;
    let topics = shard.fetch_all(group).unwrap_or_default().into_iter();
    topics
        .filter_map(|(name, partitions)| {
            let topic_id = if by_id { ctx.broker.topics.by_name(&name)?.id } else { Uuid::nil() };
            let partitions = partitions.into_iter().map(|(at, fetched)| partition(at, fetched)).collect();
            Some(OffsetFetchResponseTopics { name, topic_id, partitions })
        })
        .collect()
}

fn partition(partition_index: i32, fetched: Fetched) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: fetched.offset,
        committed_leader_epoch: fetched.leader_epoch,
        metadata: Some(fetched.metadata),
        error_code: ErrorCode::None.code(),
    }
}

fn all_fail(asked: OffsetFetchRequestTopics, error_code: i16) -> OffsetFetchResponseTopics {
    let failed = |at: i32| OffsetFetchResponsePartitions { error_code, ..partition(at, Fetched::none()) };
    OffsetFetchResponseTopics {
        partitions: asked.partition_indexes.into_iter().map(failed).collect(),
        name: asked.name,
        topic_id: asked.topic_id,
    }
}

fn in_old_form(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|it| OffsetFetchResponsePartition {
        partition_index: it.partition_index,
        committed_offset: it.committed_offset,
        committed_leader_epoch: it.committed_leader_epoch,
        metadata: it.metadata,
        error_code: it.error_code,
    });
    OffsetFetchResponseTopic { name: topic.name, partitions: partitions.collect() }
}
