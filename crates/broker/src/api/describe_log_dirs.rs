//! DescribeLogDirs, key 35: how large partitions are, and how full the disk is (from version 4 on).

use std::sync::Arc;

use protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use protocol::{ApiKey, Str};

use super::Api;
use super::repeated::keep_first;
use crate::context::Context;
use crate::partition::Partition;
use crate::topics::Topic;

pub(super) const API: Api = Api::new(ApiKey::DescribeLogDirs, 1, 5);

pub(super) async fn handle(ctx: &Context, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let broker = &ctx.broker;
    let topics = match request.topics {
        None => broker.topics.all().iter().map(|topic| describe(topic, &topic.partitions())).collect(),
        Some(mut wanted) => {
            keep_first(&mut wanted, |topic| topic.topic.clone());
            wanted.into_iter().filter_map(|topic| find(ctx, topic)).collect()
        }
    };
    let root = broker.storage.root();
    let (total_bytes, usable_bytes) = space(root).unwrap_or((-1, -1));
    let result = DescribeLogDirsResult {
        log_dir: Str::from(root.display().to_string()),
        topics,
        total_bytes,
        usable_bytes,
        ..DescribeLogDirsResult::default()
    };
    DescribeLogDirsResponse { results: vec![result], ..DescribeLogDirsResponse::default() }
}

/// What of it exists; the rest is left out, as Kafka does.
fn find(ctx: &Context, mut wanted: DescribableLogDirTopic) -> Option<DescribeLogDirsTopic> {
    let topic = ctx.broker.topics.by_name(&wanted.topic)?;
    keep_first(&mut wanted.partitions, |index| *index);
    let partitions: Vec<_> =
        wanted.partitions.into_iter().filter_map(|index| topic.partition(index)).collect();
    Some(describe(&topic, &partitions))
}

fn describe(topic: &Topic, partitions: &[Arc<Partition>]) -> DescribeLogDirsTopic {
    let partitions = partitions.iter().filter_map(|partition| {
        Some(DescribeLogDirsPartition {
            partition_index: partition.index(),
            partition_size: i64::try_from(partition.size_bytes().ok()?).unwrap_or(i64::MAX),
            ..DescribeLogDirsPartition::default()
        })
    });
    DescribeLogDirsTopic { name: topic.name.clone(), partitions: partitions.collect() }
}

/// All bytes of the disk, and those that are free for us.
fn space(dir: &std::path::Path) -> Option<(i64, i64)> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).unwrap_or(i64::MAX);
    Some((bytes(stat.f_blocks), bytes(stat.f_bavail)))
}
