//! From a decoded frame to an encoded answer: one file for each API key.
//!
//! Each file declares its key and versions as `API` and answers in `handle`, a plain function from [`Context`] and
//! request to response. To add one: write the file, add its line to `apis!` below. What is not in that list is
//! answered by [`refused`], with an error and not with a closed connection.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use protocol::codec::{EncodeError, Message, Request};
use protocol::{ApiKey, DecodeError, Decoder, Slices, frame};

use crate::connection::writer::Reply;
use crate::context::{Context, charged};

mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod authorized;
mod config_layers;
mod config_resources;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod elect_leaders;
mod features;
mod fetch;
mod find_coordinator;
mod get_telemetry_subscriptions;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod legacy_fetch;
mod legacy_produce;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod push_telemetry;
pub(crate) mod refused;
mod sync_group;
mod update_features;

/// An API and the versions of it that are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// The key.
    pub key: ApiKey,
    /// Lowest version advertised.
    pub min: i16,
    /// Highest version advertised.
    pub max: i16,
}

impl Api {
    /// An API with the versions that its file declares.
    #[must_use]
    pub const fn new(key: ApiKey, min: i16, max: i16) -> Api {
        Api { key, min, max }
    }
}

/// Why no answer could be made. The connection is closed after one log line.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The body is not what its version says; nothing behind it can be trusted.
    #[error("the body of a {key} request (version {version}) is malformed")]
    Malformed {
        /// What was asked.
        key: ApiKey,
        /// In which version.
        version: i16,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// A producer that wants no answers must still learn that its records were not taken.
    #[error("records sent with acks=0 could not be appended")]
    Unacknowledged,
    /// Our answer does not fit its version: a bug of ours.
    #[error("the answer to a {key} request (version {version}) cannot be encoded")]
    Unencodable {
        /// What was asked.
        key: ApiKey,
        /// In which version.
        version: i16,
        /// Which field.
        #[source]
        source: EncodeError,
    },
}

/// What to send; nothing ([`Reply::silence`]) if the request wants no answer.
pub type Answer = Result<Reply, Failure>;

/// A request on its way to an answer.
pub type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Which request an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// What was asked.
    pub key: ApiKey,
    /// In which version.
    pub version: i16,
    /// What the answer repeats.
    pub correlation_id: i32,
}

fn decode<Q: Request>(call: Call, mut input: Decoder) -> Result<Q, Failure> {
    let malformed = |source| Failure::Malformed { key: call.key, version: call.version, source };
    Q::decode(&mut input, call.version).map_err(malformed)
}

fn encode(call: Call, response: &impl Message) -> Result<Slices, Failure> {
    let unencodable = |source| Failure::Unencodable { key: call.key, version: call.version, source };
    let mut out = frame::response(call.key, call.version, call.correlation_id).map_err(unencodable)?;
    response.encode(&mut out, call.version).map_err(unencodable)?;
    Ok(out.finish())
}

/// How a rest is told. It is bounded by the longest, which is seconds.
fn milliseconds(rest: Duration) -> i32 {
    i32::try_from(rest.as_millis()).unwrap_or(i32::MAX)
}

async fn answer<Q, H>(ctx: Context, call: Call, input: Decoder, handle: H) -> Answer
where
    Q: Request,
    H: AsyncFnOnce(&Context, Q) -> Q::Response,
{
    let work = async { Ok(handle(&ctx, decode(call, input)?).await) };
    let (response, rest) = charged(ctx.payer(), work).await;
    let mut response = response?;
    response.set_throttle_time_ms(milliseconds(rest));
    Ok(Reply::new(encode(call, &response)?, []).resting(rest))
}

async fn answer_produce(ctx: Context, call: Call, input: Decoder) -> Answer {
    let work = async { Ok(produce::handle(&ctx, decode(call, input)?).await) };
    let (produced, for_time) = charged(ctx.payer(), work).await;
    let produce::Produced { outcome, rest } = produced?;
    let rest = rest.max(for_time);
    let reply = match outcome {
        produce::Outcome::Answer(mut response) => {
            response.throttle_time_ms = milliseconds(rest);
            Reply::new(encode(call, &response)?, [])
        }
        produce::Outcome::Silence => Reply::silence(),
        produce::Outcome::Hangup => return Err(Failure::Unacknowledged),
    };
    Ok(reply.resting(rest))
}

async fn answer_fetch(ctx: Context, call: Call, input: Decoder) -> Answer {
    let work = async { Ok(fetch::handle(&ctx, decode(call, input)?).await) };
    let (answer, for_time) = charged(ctx.payer(), work).await;
    let fetch::Answer { mut response, records, rest } = answer?;
    let rest = rest.max(for_time);
    response.throttle_time_ms = milliseconds(rest);
    Ok(Reply::new(encode(call, &response)?, records).resting(rest))
}

macro_rules! apis {
    ($($key:ident => $module:ident,)*) => {
        /// Every API that is answered.
        pub const SERVED: &[Api] = &[produce::API, fetch::API, $($module::API),*];

        /// Starts answering a request. Each API's future has a box of its own size, so that an idle connection does
        /// not pay for the largest.
        #[must_use]
        pub fn dispatch(ctx: Context, call: Call, input: Decoder) -> Answering {
            if !serves(call) {
                return Box::pin(std::future::ready(refused::answer(call, input)));
            }
            match call.key {
                ApiKey::Produce => Box::pin(answer_produce(ctx, call, input)),
                ApiKey::Fetch => Box::pin(answer_fetch(ctx, call, input)),
                $(ApiKey::$key => Box::pin(answer(ctx, call, input, $module::handle)),)*
                _ => Box::pin(std::future::ready(refused::answer(call, input))),
            }
        }
    };
}

/// Whether there is a handler for this version. Some versions of old clients are served without being advertised.
fn serves(call: Call) -> bool {
    SERVED.iter().find(|api| api.key == call.key).is_some_and(|api| {
        let lowest = api.min.min(call.key.served_versions().lowest);
        (lowest..=api.max).contains(&call.version)
    })
}

apis! {
    ListOffsets => list_offsets,
    Metadata => metadata,
    ApiVersions => api_versions,
    CreateTopics => create_topics,
    DeleteTopics => delete_topics,
    DeleteRecords => delete_records,
    InitProducerId => init_producer_id,
    OffsetForLeaderEpoch => offset_for_leader_epoch,
    DescribeConfigs => describe_configs,
    AlterConfigs => alter_configs,
    AlterReplicaLogDirs => alter_replica_log_dirs,
    DescribeLogDirs => describe_log_dirs,
    CreatePartitions => create_partitions,
    IncrementalAlterConfigs => incremental_alter_configs,
    DescribeQuorum => describe_quorum,
    UpdateFeatures => update_features,
    DescribeCluster => describe_cluster,
    DescribeProducers => describe_producers,
    GetTelemetrySubscriptions => get_telemetry_subscriptions,
    PushTelemetry => push_telemetry,
    ListConfigResources => list_config_resources,
    DescribeTopicPartitions => describe_topic_partitions,
    ElectLeaders => elect_leaders,
    AlterPartitionReassignments => alter_partition_reassignments,
    ListPartitionReassignments => list_partition_reassignments,
    OffsetCommit => offset_commit,
    OffsetFetch => offset_fetch,
    FindCoordinator => find_coordinator,
    JoinGroup => join_group,
    Heartbeat => heartbeat,
    LeaveGroup => leave_group,
    SyncGroup => sync_group,
    DescribeGroups => describe_groups,
    ListGroups => list_groups,
    DeleteGroups => delete_groups,
    OffsetDelete => offset_delete,
    DescribeClientQuotas => describe_client_quotas,
    AlterClientQuotas => alter_client_quotas,
}
