//! DescribeLogDirs, key 35: how large partitions are, and how full the disk is (from version 4 on).

use protocol::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};
use protocol::{ApiKey, Str};

use super::Api;
use crate::context::Context;
use crate::topics::Topic;

pub(super) const API: Api = Api::new(ApiKey::DescribeLogDirs, 1, 5);

pub(super) async fn handle(ctx: &Context, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let broker = &ctx.broker;
    let topics = match request.topics {
        None => broker.topics.all().iter().map(|topic| describe(topic, None)).collect(),
        Some(wanted) => wanted
            .into_iter()
            .filter_map(|it| {
                let topic = broker.topics.by_name(&it.topic)?;
                Some(describe(&topic, Some(&it.partitions)))
            })
            .collect(),
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

fn describe(topic: &Topic, wanted: Option<&[i32]>) -> DescribeLogDirsTopic {
    let partitions = topic.partitions();
    let partitions = partitions
        .iter()
        .filter(|partition| wanted.is_none_or(|wanted| wanted.contains(&partition.index())))
        .filter_map(|partition| {
            Some(DescribeLogDirsPartition {
                partition_index: partition.index(),
                partition_size: i64::try_from(partition.inspect(|log| log.size_bytes()).ok()?)
                    .unwrap_or(i64::MAX),
                ..DescribeLogDirsPartition::default()
            })
        })
        .collect();
    DescribeLogDirsTopic { name: topic.name.clone(), partitions }
}

/// All bytes of the disk, and those that are free for us.
fn space(dir: &std::path::Path) -> Option<(i64, i64)> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).unwrap_or(i64::MAX);
    Some((bytes(stat.f_blocks), bytes(stat.f_bavail)))
}
