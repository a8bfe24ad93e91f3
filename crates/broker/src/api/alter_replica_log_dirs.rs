//! AlterReplicaLogDirs, key 34: moves a replica to another directory of its broker. There is one: asking for it changes
//! nothing and succeeds, any other is not found.

use protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use protocol::{ApiKey, ErrorCode};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::AlterReplicaLogDirs, 1, 2);

pub(super) async fn handle(
    ctx: &Context,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let ours = ctx.broker.storage.root().display().to_string();
    let mut results = Vec::new();
    for dir in request.dirs {
        for wanted in dir.topics {
            let topic = ctx.broker.topics.by_name(&wanted.name);
            let partitions = wanted.partitions.into_iter().map(|partition_index| {
                let exists = topic.as_ref().is_some_and(|topic| topic.partition(partition_index).is_some());
                let code = match (exists, dir.path == ours.as_str()) {
                    (false, _) => ErrorCode::UnknownTopicOrPartition,
                    (true, false) => ErrorCode::LogDirNotFound,
                    (true, true) => ErrorCode::None,
                };
                AlterReplicaLogDirPartitionResult { partition_index, error_code: code.code() }
            });
            let partitions = partitions.collect();
            results.push(AlterReplicaLogDirTopicResult { topic_name: wanted.name, partitions });
        }
    }
    AlterReplicaLogDirsResponse { results, ..AlterReplicaLogDirsResponse::default() }
}
