//! DescribeTopicPartitions, key 75: like Metadata, a page at a time, with eligible leader replicas.

use std::collections::BTreeSet;

use protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::{Api, authorized};
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::DescribeTopicPartitions, 0, 0);

pub(super) async fn handle(
    ctx: &Context,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let broker = &ctx.broker;
    let asks_for_all = request.topics.is_empty();
    let names: BTreeSet<Str> = if asks_for_all {
        broker.topics.all().iter().map(|topic| topic.name.clone()).collect()
    } else {
        request.topics.into_iter().map(|topic| topic.name).collect()
    };
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0).max(1);
    let mut room = limit.min(broker.config.limits.max_request_partition_size);
    let (from, mut first) = match request.cursor {
        Some(Cursor { topic_name, partition_index }) => (topic_name, partition_index.max(0)),
        None => (Str::default(), 0),
    };
    let mut topics = Vec::new();
    let mut next_cursor = None;
    for name in names.into_iter().filter(|name| *name >= from) {
        if name != from {
            first = 0;
        }
        let Some(topic) = broker.topics.by_name(&name) else {
            if !asks_for_all {
                topics.push(unknown(name));
            }
            continue;
        };
        if room == 0 {
            next_cursor = Some(Cursor { topic_name: topic.name.clone(), partition_index: first });
            break;
        }
        let all = topic.partitions();
        let begin = usize::try_from(first).unwrap_or(0).min(all.len());
        let end = all.len().min(begin + room);
        let node = broker.config.node_id;
        let page = all[begin..end].iter().map(|partition| DescribeTopicPartitionsResponsePartition {
            partition_index: partition.index(),
            leader_id: node,
            leader_epoch: partition.leader_epoch(),
            replica_nodes: vec![node],
            isr_nodes: vec![node],
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            ..DescribeTopicPartitionsResponsePartition::default()
        });
        topics.push(DescribeTopicPartitionsResponseTopic {
            name: Some(topic.name.clone()),
            topic_id: topic.id,
            is_internal: topic.is_internal(),
            partitions: page.collect(),
            topic_authorized_operations: authorized::topic(true),
            ..DescribeTopicPartitionsResponseTopic::default()
        });
        room -= end - begin;
        if end < all.len() {
            let partition_index = i32::try_from(end).unwrap_or(i32::MAX);
            next_cursor = Some(Cursor { topic_name: topic.name.clone(), partition_index });
            break;
        }
    }
    DescribeTopicPartitionsResponse { topics, next_cursor, ..DescribeTopicPartitionsResponse::default() }
}

fn unknown(name: Str) -> DescribeTopicPartitionsResponseTopic {
    let code = match crate::metadata::controller::check_name(&name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(error) => error.code(),
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(name),
        topic_authorized_operations: i32::MIN,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}
