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
mod produced_batch;
mod push_telemetry;
pub(crate) mod refused;
mod repeated;
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

/// Requests on their way to their answers.
pub type Answering = Pin<Box<dyn Future<Output = Vec<Answer>> + Send>>;

/// A request whose head was read.
pub struct Asked {
    /// Its surroundings.
    pub ctx: Context,
    /// What it asks for.
    pub call: Call,
    /// Its body.
    pub input: Decoder,
}

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

async fn answer<Q, H>(Asked { ctx, call, input }: Asked, handle: H) -> Answer
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

/// Answers Produce requests that one connection sent, in their order. The first that cannot be answered is the last that
/// is looked at. All of them rest for the time that they took together.
async fn answer_produce(run: Vec<Asked>) -> Vec<Answer> {
    let payer = run.first().and_then(|first| first.ctx.payer());
    let mut calls = Vec::with_capacity(run.len());
    let mut failure = None;
    let work = async {
        let mut requests = Vec::with_capacity(run.len());
        for Asked { ctx, call, input } in run {
            match decode(call, input) {
                Ok(request) => requests.push((ctx, request)),
                Err(error) => {
                    failure = Some(Err(error));
                    break;
                }
            }
            calls.push(call);
        }
        produce::handle(requests).await
    };
    let (produced, for_time) = charged(payer, work).await;
    let answer = |(call, produce::Produced { outcome, rest }): (Call, _)| {
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
    };
    calls.into_iter().zip(produced).map(answer).chain(failure).collect()
}

async fn answer_fetch(Asked { ctx, call, input }: Asked) -> Answer {
    let work = async { Ok(fetch::handle(&ctx, decode(call, input)?).await) };
    let (answer, for_time) = charged(ctx.payer(), work).await;
    let fetch::Answer { mut response, records, rest } = answer?;
    let rest = rest.max(for_time);
    response.throttle_time_ms = milliseconds(rest);
    Ok(Reply::new(encode(call, &response)?, records).resting(rest))
}

async fn alone(answer: impl Future<Output = Answer>) -> Vec<Answer> {
    vec![answer.await]
}

macro_rules! apis {
    ($($key:ident => $module:ident,)*) => {
        /// Every API that is answered.
        pub const SERVED: &[Api] = &[produce::API, fetch::API, $($module::API),*];

        /// Starts answering a request that does not run with others. Each API's future has a box of its own size, so
        /// that an idle connection does not pay for the largest.
        fn dispatch(asked: Asked) -> Answering {
            let Call { key, version, .. } = asked.call;
            match key {
                ApiKey::Fetch if serves(key, version) => Box::pin(alone(answer_fetch(asked))),
                $(ApiKey::$key if serves(key, version) => Box::pin(alone(answer(asked, $module::handle))),)*
                _ => Box::pin(std::future::ready(vec![refused::answer(asked.call, asked.input)])),
            }
        }
    };
}

/// Starts answering requests that one connection sent, in their order: several that run together ([`runs_together`]),
/// or one. There is an answer for each, except behind one that failed.
#[must_use]
pub fn answer_run(mut run: Vec<Asked>) -> Answering {
    match run.pop() {
        None => Box::pin(std::future::ready(Vec::new())),
        Some(last) if runs_together(last.call.key, last.call.version) => {
            run.push(last);
            Box::pin(answer_produce(run))
        }
        Some(only) => dispatch(only),
    }
}

/// Whether requests of this kind are answered together where several are there.
#[must_use]
pub fn runs_together(key: ApiKey, version: i16) -> bool {
    key == ApiKey::Produce && serves(key, version)
}

/// Whether there is a handler for this version. Some versions of old clients are served without being advertised.
fn serves(key: ApiKey, version: i16) -> bool {
    SERVED.iter().find(|api| api.key == key).is_some_and(|api| {
        let lowest = api.min.min(key.served_versions().lowest);
        (lowest..=api.max).contains(&version)
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
