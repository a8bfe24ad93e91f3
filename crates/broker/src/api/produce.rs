//! Produce, key 0: the batches of a request go to their logs as they came.
//!
//! Versions: 3 is the first with record batches; 0 to 2 carry message sets of old producers, which are turned into
//! batches. 7 is the first that may be compressed with zstd, 8 answers with messages, 13 names topics by id alone.
//! With `acks=0` there is no answer; a failure then closes the connection, the only way to tell such a producer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use log::Origin;
use protocol::batch::{self, Batch, BatchError, Builder, Checks, Compression, Header};
use protocol::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use crate::config::TopicConfig;
use crate::context::Context;
use crate::durable::Durable;
use crate::partition::{Appended, Refusal};
use crate::quota::Rate;
use crate::topics::Topic;

pub(super) const API: Api = Api::new(ApiKey::Produce, 0, 13);

/// The first version whose records are batches (magic 2).
const FIRST_WITH_BATCHES: i16 = 3;
/// The first version that may carry zstd.
const FIRST_WITH_ZSTD: i16 = 7;
/// The first version that names topics by id alone.
const FIRST_WITH_IDS: i16 = 13;

/// What became of a request, and how long the producer's quota makes its connection rest.
pub(super) struct Produced {
    pub(super) outcome: Outcome,
    pub(super) rest: Duration,
}

/// What to tell the producer.
pub(super) enum Outcome {
    /// The answer.
    Answer(ProduceResponse),
    /// The producer wants none.
    Silence,
    /// The producer wants no answer and must know that something failed.
    Hangup,
}

pub(super) async fn handle(ctx: &Context, request: ProduceRequest) -> Produced {
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let bytes = partitions.filter_map(|partition| partition.records.as_ref()).map(Bytes::len).sum();
    let rest = ctx.charge(Rate::Produced, bytes);
    let mut outcome = append_all(ctx, request).await;
    if let Outcome::Answer(response) = &mut outcome {
        // Bounded by the longest rest, which is seconds.
        response.throttle_time_ms = i32::try_from(rest.as_millis()).unwrap_or(i32::MAX);
    }
    Produced { outcome, rest }
}

async fn append_all(ctx: &Context, request: ProduceRequest) -> Outcome {
    let acks = request.acks;
    let mut waiting: Vec<(usize, usize, Durable)> = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    let mut failed = false;
    for (topic_at, data) in request.topic_data.into_iter().enumerate() {
        let topic = if ctx.version >= FIRST_WITH_IDS {
            ctx.broker.topics.by_id(data.topic_id).ok_or(ErrorCode::UnknownTopicId)
        } else {
            ctx.broker.topics.by_name(&data.name).ok_or(ErrorCode::UnknownTopicOrPartition)
        };
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for (partition_at, partition) in data.partition_data.into_iter().enumerate() {
            let index = partition.index;
            let appended = match &topic {
                Ok(topic) => append(ctx, topic, acks, partition),
                Err(code) => Err(Refusal::from(*code)),
            };
            partitions.push(match appended {
                Ok(appended) => {
                    if !appended.durable.is_kept() {
                        waiting.push((topic_at, partition_at, appended.durable));
                    }
                    PartitionProduceResponse {
                        index,
                        base_offset: appended.base_offset,
                        log_append_time_ms: appended.log_append_time_ms,
                        log_start_offset: appended.log_start_offset,
                        ..PartitionProduceResponse::default()
                    }
                }
                Err(refusal) => {
                    failed = true;
                    refused(ctx, index, refusal)
                }
            });
        }
        responses.push(TopicProduceResponse {
            name: data.name,
            topic_id: data.topic_id,
            partition_responses: partitions,
        });
    }
    if acks == 0 {
        return if failed { Outcome::Hangup } else { Outcome::Silence };
    }
    for (topic, partition, durable) in waiting {
        if let Err(code) = durable.wait().await {
            let answer = &mut responses[topic].partition_responses[partition];
            *answer = refused(ctx, answer.index, Refusal::from(code));
        }
    }
    Outcome::Answer(ProduceResponse { responses, ..ProduceResponse::default() })
}

fn refused(ctx: &Context, index: i32, refusal: Refusal) -> PartitionProduceResponse {
    ctx.broker.metrics.failed_produce.inc();
    PartitionProduceResponse {
        index,
        error_code: refusal.code.code(),
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: record_errors(&refusal),
        error_message: refusal.message.map(Str::from),
        ..PartitionProduceResponse::default()
    }
}

fn record_errors(refusal: &Refusal) -> Vec<BatchIndexAndErrorMessage> {
    let error = |batch_index| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: refusal.message.as_deref().map(Str::from),
    };
    refusal.records.iter().copied().map(error).collect()
}

fn append(ctx: &Context, topic: &Topic, acks: i16, data: PartitionProduceData) -> Result<Appended, Refusal> {
    if topic.is_internal() {
        return Err(Refusal::from(ErrorCode::InvalidTopicException));
    }
    let partition = topic.partition(data.index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let settings = topic.settings();
    let settings = &settings.effective;
    match acks {
        0 | 1 => {}
        -1 if settings.min_insync_replicas > 1 => {
            let message = format!(
                "min.insync.replicas is {} and the partition has one replica",
                settings.min_insync_replicas
            );
            return Err(Refusal::new(ErrorCode::NotEnoughReplicas, message));
        }
        -1 => {}
        _ => return Err(Refusal::from(ErrorCode::InvalidRequiredAcks)),
    }
    let records = data.records.unwrap_or_default();
    let open_bytes = ctx.broker.config.limits.max_decompressed_bytes;
    let batches = if ctx.version < FIRST_WITH_BATCHES {
        super::legacy_produce::to_batch(&records, open_bytes)?
    } else {
        validate(ctx, settings, records)?
    };
    let batches = match settings.compression {
        None => batches,
        Some(codec) => recompressed(batches, codec, open_bytes)?,
    };
    let bytes = batches.len();
    let appended = partition.append(&batches, Origin::Client, ctx.now_ms)?;
    if appended.records > 0 {
        let metrics = &ctx.broker.metrics;
        metrics.messages_in.inc_by(appended.records.unsigned_abs());
        metrics.bytes_in.inc_by(bytes as u64);
    }
    Ok(appended)
}

/// A valid batch as a topic with a codec of its own stores it: the same records, compressed anew unless they are already.
/// The one case in which a producer's bytes are not the bytes in the log.
fn recompressed(bytes: Bytes, codec: Compression, open_bytes: usize) -> Result<Bytes, Refusal> {
    let bad = |error: BatchError| Refusal::new(error.code(), crate::partition::chain(&error));
    let batch = Batch::parse(&bytes).map_err(bad)?;
    if batch.header().compression().map_err(bad)? == codec {
        return Ok(bytes);
    }
    let mut builder = Builder::replacing(batch.header(), codec);
    for record in batch.records(open_bytes).map_err(bad)? {
        builder.keep(&record.map_err(bad)?);
    }
    let failed = |error| Refusal::new(ErrorCode::UnknownServerError, format!("compressing failed: {error}"));
    builder.build().map(BytesMut::freeze).map_err(failed)
}

/// Checks what a producer sent; the same bytes, unless a header claims a wrong largest timestamp.
fn validate(ctx: &Context, settings: &TopicConfig, records: Bytes) -> Result<Bytes, Refusal> {
    let invalid = |text: &str| Err(Refusal::new(ErrorCode::InvalidRecord, text));
    let bad = |error: BatchError| {
        let records = match &error {
            BatchError::Record { index, .. } => vec![*index],
            BatchError::KeysMissing { records } => records.clone(),
            _ => Vec::new(),
        };
        Refusal { records, ..Refusal::new(error.code(), crate::partition::chain(&error)) }
    };
    let batch = Batch::parse(&records).map_err(bad)?;
    if batch.bytes().len() != records.len() {
        return invalid("a produce request carries exactly one batch for a partition");
    }
    let header: &Header = batch.header();
    if header.is_transactional() {
        return Err(Refusal::new(ErrorCode::InvalidTxnState, "this broker has no transactions yet"));
    }
    if header.compression().map_err(bad)? == Compression::Zstd && ctx.version < FIRST_WITH_ZSTD {
        return Err(Refusal::from(ErrorCode::UnsupportedCompressionType));
    }
    let checks = Checks {
        require_keys: settings.compact,
        decompressed_max_bytes: ctx.broker.config.limits.max_decompressed_bytes,
    };
    let validated = batch::validate(&records, header, checks).map_err(bad)?;
    if validated.max_timestamp_ms == header.max_timestamp || settings.log_append_time {
        return Ok(records);
    }
    // Rare: a producer that does not know its own records. Lookups by time depend on the header.
    let mut copy = BytesMut::from(&records[..]);
    batch::set_max_timestamp(&mut copy, validated.max_timestamp_ms);
    Ok(copy.freeze())
}
