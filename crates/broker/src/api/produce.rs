//! Produce, key 0: the batches of a request go to their logs as they came.
//!
//! Requests that a connection has ready at the same time are answered as a run: each is judged and answered by itself,
//! in order, and what they bring to the same partition is written together ([`Partition::append_run`]).
//!
//! Versions: 3 is the first with record batches; 0 to 2 carry message sets of old producers, which are turned into
//! batches. 7 is the first that may be compressed with zstd, 8 answers with messages, 13 names topics by id alone.
//! With `acks=0` there is no answer; a failure then closes the connection, the only way to tell such a producer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use log::Origin;
use protocol::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::{Api, produced_batch};
use crate::context::Context;
use crate::durable::Durable;
use crate::partition::{Appended, Partition, Refusal};
use crate::quota::Rate;
use crate::topics::Topic;

pub(super) const API: Api = Api::new(ApiKey::Produce, 0, 13);

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

/// Answers requests that one connection sent, in their order.
pub(super) async fn handle(run: Vec<(Context, ProduceRequest)>) -> Vec<Produced> {
    let mut batches = Vec::new();
    let mut drafts: Vec<Draft> = Vec::with_capacity(run.len());
    for (ctx, request) in run {
        let draft = Draft::new(ctx, request, drafts.len(), &mut batches);
        drafts.push(draft);
    }
    // The sort is stable: what goes to the same partition keeps its order.
    batches.sort_by_key(|batch| Arc::as_ptr(&batch.partition).addr());
    let mut waiting = Vec::new();
    for same in batches.chunk_by(|one, other| Arc::ptr_eq(&one.partition, &other.partition)) {
        append(same, &mut drafts, &mut waiting);
    }
    for (place, durable) in waiting {
        if let Err(code) = durable.wait().await {
            drafts[place.request].refuse(place, Refusal::from(code));
        }
    }
    drafts.into_iter().map(Draft::finish).collect()
}

/// Where in a run something stands: which request, which of its topics, which of the topic's partitions.
#[derive(Clone, Copy)]
struct Place {
    request: usize,
    topic: usize,
    partition: usize,
}

/// A batch that is good and waits to be appended.
struct Ready {
    place: Place,
    partition: Arc<Partition>,
    bytes: Bytes,
}

/// Appends what a run brings to one partition.
fn append(batches: &[Ready], drafts: &mut [Draft], waiting: &mut Vec<(Place, Durable)>) {
    let (Some(first), Some(last)) = (batches.first(), batches.last()) else { return };
    let now_ms = drafts[last.place.request].ctx.now_ms;
    let bytes: Vec<Bytes> = batches.iter().map(|batch| batch.bytes.clone()).collect();
    let mut places = batches.iter().map(|batch| (batch.place, batch.bytes.len()));
    first.partition.append_run(&bytes, Origin::Client, now_ms, |appended| {
        let Some((place, bytes)) = places.next() else { return };
        let draft = &mut drafts[place.request];
        match appended {
            Ok(appended) => {
                draft.accept(place, &appended, bytes);
                if !appended.durable.is_kept() && draft.acks != 0 {
                    waiting.push((place, appended.durable));
                }
            }
            Err(refusal) => draft.refuse(place, refusal),
        }
    });
}

/// An answer in the making.
struct Draft {
    ctx: Context,
    acks: i16,
    rest: Duration,
    topics: Vec<TopicProduceResponse>,
    failed: bool,
}

impl Draft {
    /// Looks at everything that a request brings; what is good is added to `ready`, the rest is refused already.
    fn new(ctx: Context, request: ProduceRequest, number: usize, ready: &mut Vec<Ready>) -> Draft {
        let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
        let bytes = partitions.filter_map(|partition| partition.records.as_ref()).map(Bytes::len).sum();
        let rest = ctx.charge(Rate::Produced, bytes);
        let topics = Vec::with_capacity(request.topic_data.len());
        let mut draft = Draft { ctx, acks: request.acks, rest, topics, failed: false };
        for data in request.topic_data {
            let topic = if draft.ctx.version >= FIRST_WITH_IDS {
                draft.ctx.broker.topics.by_id(data.topic_id).ok_or(ErrorCode::UnknownTopicId)
            } else {
                draft.ctx.broker.topics.by_name(&data.name).ok_or(ErrorCode::UnknownTopicOrPartition)
            };
            let empty = |data: &PartitionProduceData| PartitionProduceResponse {
                index: data.index,
                ..PartitionProduceResponse::default()
            };
            draft.topics.push(TopicProduceResponse {
                name: data.name,
                topic_id: data.topic_id,
                partition_responses: data.partition_data.iter().map(empty).collect(),
            });
            for (at, partition) in data.partition_data.into_iter().enumerate() {
                let place = Place { request: number, topic: draft.topics.len() - 1, partition: at };
                let good = match &topic {
                    Ok(topic) => check(&draft.ctx, topic, draft.acks, partition),
                    Err(code) => Err(Refusal::from(*code)),
                };
                match good {
                    Ok((partition, bytes)) => ready.push(Ready { place, partition, bytes }),
                    Err(refusal) => draft.refuse(place, refusal),
                }
            }
        }
        draft
    }

    fn accept(&mut self, place: Place, appended: &Appended, bytes: usize) {
        let answer = &mut self.topics[place.topic].partition_responses[place.partition];
        answer.base_offset = appended.base_offset;
        answer.log_append_time_ms = appended.log_append_time_ms;
        answer.log_start_offset = appended.log_start_offset;
        if appended.records > 0 {
            let metrics = &self.ctx.broker.metrics;
            metrics.messages_in.inc_by(appended.records.unsigned_abs());
            metrics.bytes_in.inc_by(bytes as u64);
        }
    }

    fn refuse(&mut self, place: Place, refusal: Refusal) {
        self.failed = true;
        self.ctx.broker.metrics.failed_produce.inc();
        let answer = &mut self.topics[place.topic].partition_responses[place.partition];
        *answer = PartitionProduceResponse {
            index: answer.index,
            error_code: refusal.code.code(),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: record_errors(&refusal),
            error_message: refusal.message.map(Str::from),
            ..PartitionProduceResponse::default()
        };
    }

    fn finish(self) -> Produced {
        let outcome = match self.acks {
            0 if self.failed => Outcome::Hangup,
            0 => Outcome::Silence,
            _ => Outcome::Answer(ProduceResponse { responses: self.topics, ..ProduceResponse::default() }),
        };
        Produced { outcome, rest: self.rest }
    }
}

fn record_errors(refusal: &Refusal) -> Vec<BatchIndexAndErrorMessage> {
    let error = |batch_index| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: refusal.message.as_deref().map(Str::from),
    };
    refusal.records.iter().copied().map(error).collect()
}

/// Whether the records of one partition may be appended; to which, and as what bytes.
fn check(
    ctx: &Context,
    topic: &Topic,
    acks: i16,
    data: PartitionProduceData,
) -> Result<(Arc<Partition>, Bytes), Refusal> {
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
    let bytes = produced_batch::to_store(ctx, settings, data.records.unwrap_or_default())?;
    Ok((partition, bytes))
}
