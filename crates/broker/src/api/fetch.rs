//! Fetch, key 1: records from where a consumer stands, waiting a while if there are none.
//!
//! A fetch that finds too little registers with each of its partitions and sleeps; the first append to any of them wakes
//! it. There is no timer for a partition and no polling. Records are not read here: the answer carries ranges of files
//! that the connection sends while the socket takes them.
//!
//! Versions: 4 is the first with record batches (older ones get message sets), 7 has sessions, 9 leader epochs, 12 the
//! epoch of the last record, 13 names topics by id alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::batch::Compression;
use protocol::legacy::Magic;
use protocol::messages::fetch::{
    EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use protocol::{ApiKey, ErrorCode, Records};
use tokio::time::Instant;
use uuid::Uuid;

use super::Api;
use crate::broker::Broker;
use crate::connection::writer::Filling;
use crate::context::Context;
use crate::fetch_sessions::{NEW_SESSION, NO_SESSION, Turn, Wanted};
use crate::partition::{Found, Offsets, Partition, Waiter};
use crate::quota::Rate;

pub(super) const API: Api = Api::new(ApiKey::Fetch, 4, 18);

/// The first version in which a batch that is larger than the limit is sent all the same.
const FIRST_WITH_PROGRESS: i16 = 3;
/// The first version that carries record batches as they are stored.
const FIRST_WITH_BATCHES: i16 = 4;
/// The first version whose clients know zstd.
const FIRST_WITH_ZSTD: i16 = 10;
/// The first version that names topics by id alone.
const FIRST_WITH_IDS: i16 = 13;

const READ_COMMITTED: i8 = 1;

/// An answer, and what fills the holes that its records are.
pub(super) struct Answer {
    pub(super) response: FetchResponse,
    pub(super) records: Vec<Filling>,
    /// How long the consumer's quota makes its connection rest.
    pub(super) rest: Duration,
}

impl Answer {
    /// An answer without records.
    fn empty(response: FetchResponse) -> Answer {
        Answer { response, records: Vec::new(), rest: Duration::ZERO }
    }
}

/// Gives a session back to the cache, or its slot, if the connection is gone before the answer.
struct Taken<'a> {
    broker: &'a Broker,
    turn: Option<Turn>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(turn) = &self.turn
            && turn.id != 0
        {
            self.broker.fetch_sessions.abandon(turn.id);
        }
    }
}

pub(super) async fn handle(ctx: &Context, request: FetchRequest) -> Answer {
    let limits = &ctx.broker.config.limits;
    let max_wait = u64::try_from(request.max_wait_ms).unwrap_or(0).min(limits.fetch_max_wait_ms);
    let most = usize::try_from(limits.fetch_max_bytes).unwrap_or(usize::MAX);
    let allowed = ctx.fetchable();
    // Who is ahead of its quota gets an answer at once, without records.
    let throttled = allowed == Some(0);
    let max_wait = if throttled { 0 } else { max_wait };
    let most = allowed.map_or(most, |allowed| most.min(allowed));
    let pass = Pass {
        ctx,
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(most),
        at_least_one: ctx.version >= FIRST_WITH_PROGRESS && !throttled,
        committed: request.isolation_level == READ_COMMITTED,
    };
    // More than fits is never there to be waited for.
    let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0).min(pass.max_bytes);
    let turn = match begin(ctx, request) {
        Ok(turn) => turn,
        Err(code) => {
            let response = FetchResponse { error_code: code.code(), ..FetchResponse::default() };
            return Answer::empty(response);
        }
    };
    let mut taken = Taken { broker: &ctx.broker, turn: Some(turn) };
    let Some(turn) = &mut taken.turn else {
        // It was put there one line above.
        return Answer::empty(FetchResponse::default());
    };
    let mut results = pass.run(turn, None);
    if !results.are_enough(min_bytes) && max_wait > 0 {
        let waiter = Waiter::new();
        let until = Instant::now() + Duration::from_millis(max_wait);
        ctx.broker.metrics.waiting_fetches.inc();
        loop {
            // Registering and looking again are one step, so no append falls in between.
            results = pass.run(turn, Some(&waiter));
            if results.are_enough(min_bytes) {
                break;
            }
            let woken = tokio::select! {
                () = waiter.woken() => true,
                () = tokio::time::sleep_until(until) => false,
                () = ctx.stop.cancelled() => false,
            };
            if !woken {
                results = pass.run(turn, None);
                break;
            }
        }
        ctx.broker.metrics.waiting_fetches.dec();
    }
    let mut answer = compose(ctx, turn, results);
    let bytes = answer.records.iter().map(Filling::len).sum();
    answer.rest = ctx.charge(Rate::Fetched, bytes);
    if let Some(turn) = taken.turn.take() {
        ctx.broker.fetch_sessions.end(turn, ctx.now_ms);
    }
    answer
}

/// Finds out what is wanted: everything that the request names, or what its session does.
fn begin(ctx: &Context, request: FetchRequest) -> Result<Turn, ErrorCode> {
    let sessions = &ctx.broker.fetch_sessions;
    let mut named = Vec::new();
    for topic in request.topics {
        // Detached: a session must not keep the frame of its first request alive.
        let name = topic.topic.detached();
        for asked in topic.partitions {
            named.push(Wanted {
                topic: name.clone(),
                topic_id: topic.topic_id,
                index: asked.partition,
                partition: None,
                offset: asked.fetch_offset,
                max_bytes: usize::try_from(asked.partition_max_bytes).unwrap_or(0),
                leader_epoch: asked.current_leader_epoch,
                last_fetched_epoch: asked.last_fetched_epoch,
                told: None,
            });
        }
    }
    if matches!(request.session_epoch, NO_SESSION | NEW_SESSION) {
        return Ok(sessions.begin_full(request.session_id, request.session_epoch, named, ctx.now_ms));
    }
    let mut turn = sessions.begin_incremental(request.session_id, request.session_epoch)?;
    let wanted = &mut turn.session.wanted;
    if !request.forgotten_topics_data.is_empty() {
        let forgotten: std::collections::HashSet<(Uuid, &str, i32)> = request
            .forgotten_topics_data
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|index| (topic.topic_id, topic.topic.as_str(), *index))
            })
            .collect();
        wanted.retain(|it| !forgotten.contains(&(it.topic_id, it.topic.as_str(), it.index)));
    }
    if !named.is_empty() {
        let places: HashMap<(Uuid, protocol::Str, i32), usize> = wanted
            .iter()
            .enumerate()
            .map(|(at, it)| ((it.topic_id, it.topic.clone(), it.index), at))
            .collect();
        for mut new in named {
            match places.get(&(new.topic_id, new.topic.clone(), new.index)) {
                Some(at) => {
                    let old = &mut wanted[*at];
                    (new.partition, new.told) = (old.partition.take(), old.told);
                    *old = new;
                }
                None => wanted.push(new),
            }
        }
    }
    Ok(turn)
}

/// What one look at a partition found.
struct Seen {
    at: usize,
    code: ErrorCode,
    offsets: Offsets,
    diverging: Option<(i32, i64)>,
    found: Found,
}

#[derive(Default)]
struct Results {
    seen: Vec<Seen>,
    bytes: usize,
    failed: bool,
}

impl Results {
    fn are_enough(&self, min_bytes: usize) -> bool {
        self.failed || self.bytes >= min_bytes || self.seen.is_empty()
    }
}

struct Pass<'a> {
    ctx: &'a Context,
    max_bytes: usize,
    /// Whether a batch that is larger than `max_bytes` is returned all the same if it is the first.
    at_least_one: bool,
    committed: bool,
}

impl Pass<'_> {
    /// Looks at every partition once.
    fn run(&self, turn: &mut Turn, waiter: Option<&Arc<Waiter>>) -> Results {
        let mut results = Results::default();
        let count = turn.session.wanted.len();
        results.seen.reserve(count);
        for step in 0..count {
            let at = (turn.session.begin + step) % count;
            let wanted = &mut turn.session.wanted[at];
            let left = self.max_bytes.saturating_sub(results.bytes);
            let first = results.bytes == 0 && self.at_least_one;
            let seen = self.look(at, wanted, left, first, waiter);
            results.bytes += seen.found.len();
            results.failed |= seen.code != ErrorCode::None || seen.diverging.is_some();
            results.seen.push(seen);
        }
        results
    }

    fn look(
        &self,
        at: usize,
        wanted: &mut Wanted,
        left: usize,
        first: bool,
        waiter: Option<&Arc<Waiter>>,
    ) -> Seen {
        let failed = |code: ErrorCode, offsets: Offsets| Seen {
            at,
            code,
            offsets,
            diverging: None,
            found: Found::Nothing,
        };
        let partition = match resolve(self.ctx, wanted) {
            Ok(partition) => partition,
            Err(code) => return failed(code, Offsets::default()),
        };
        if is_unreadable(self.ctx, wanted) {
            return failed(ErrorCode::UnsupportedCompressionType, Offsets::default());
        }
        if let Err(code) = partition.check_epoch(wanted.leader_epoch) {
            return failed(code, Offsets::default());
        }
        match partition.diverges(wanted.last_fetched_epoch, wanted.offset) {
            Ok(None) => {}
            Ok(Some(diverging)) => {
                let offsets = partition.offsets().unwrap_or_default();
                return Seen { diverging: Some(diverging), ..failed(ErrorCode::None, offsets) };
            }
            Err(code) => return failed(code, Offsets::default()),
        }
        let max_bytes = wanted.max_bytes.min(left);
        match partition.read(wanted.offset, max_bytes, first, self.committed, waiter) {
            Ok((found, offsets)) => Seen { at, code: ErrorCode::None, offsets, diverging: None, found },
            Err((code, offsets)) => {
                if code == ErrorCode::UnknownTopicOrPartition {
                    // Deleted, and perhaps made anew: look it up again next time.
                    wanted.partition = None;
                }
                failed(code, offsets)
            }
        }
    }
}

fn resolve(ctx: &Context, wanted: &mut Wanted) -> Result<Arc<Partition>, ErrorCode> {
    if let Some(partition) = &wanted.partition {
        return Ok(Arc::clone(partition));
    }
    let topics = &ctx.broker.topics;
    let topic = if ctx.version >= FIRST_WITH_IDS {
        topics.by_id(wanted.topic_id).ok_or(ErrorCode::UnknownTopicId)?
    } else {
        topics.by_name(&wanted.topic).ok_or(ErrorCode::UnknownTopicOrPartition)?
    };
    let partition = topic.partition(wanted.index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    wanted.partition = Some(Arc::clone(&partition));
    Ok(partition)
}

/// Whether the topic turns all batches into zstd and this client cannot read it. (Message sets of still older clients are
/// made anew, without zstd; and what single producers do to their consumers is theirs to know.)
fn is_unreadable(ctx: &Context, wanted: &Wanted) -> bool {
    (FIRST_WITH_BATCHES..FIRST_WITH_ZSTD).contains(&ctx.version)
        && ctx
            .broker
            .topics
            .by_name(&wanted.topic)
            .is_some_and(|topic| topic.settings().effective.compression == Some(Compression::Zstd))
}

/// Makes the answer: everything for a full fetch, only news for an incremental one.
fn compose(ctx: &Context, turn: &mut Turn, results: Results) -> Answer {
    let mut records = Vec::new();
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut bytes_out = 0;
    let mut next_begin = None;
    for seen in results.seen {
        let wanted = &mut turn.session.wanted[seen.at];
        let told = (seen.offsets.high_watermark, seen.offsets.start);
        let is_news = seen.code != ErrorCode::None
            || seen.diverging.is_some()
            || !seen.found.is_empty()
            || wanted.told != Some(told);
        if turn.incremental && !is_news {
            continue;
        }
        wanted.told = (seen.code == ErrorCode::None).then_some(told);
        if !seen.found.is_empty() {
            next_begin = Some(seen.at + 1);
        }
        let (topic, topic_id) = (wanted.topic.clone(), wanted.topic_id);
        let data = partition_data(ctx, wanted, seen, &mut records, &mut bytes_out);
        match responses.last_mut() {
            Some(last) if last.topic == topic && last.topic_id == topic_id => last.partitions.push(data),
            _ => responses.push(FetchableTopicResponse { topic, topic_id, partitions: vec![data] }),
        }
    }
    let count = turn.session.wanted.len();
    if let Some(next) = next_begin {
        turn.session.begin = next % count.max(1);
    }
    ctx.broker.metrics.bytes_out.inc_by(bytes_out as u64);
    let response = FetchResponse { session_id: turn.id, responses, ..FetchResponse::default() };
    Answer { response, records, rest: Duration::ZERO }
}

fn partition_data(
    ctx: &Context,
    wanted: &Wanted,
    seen: Seen,
    records: &mut Vec<Filling>,
    bytes_out: &mut usize,
) -> PartitionData {
    let mut data = PartitionData {
        partition_index: wanted.index,
        error_code: seen.code.code(),
        high_watermark: seen.offsets.high_watermark,
        last_stable_offset: seen.offsets.last_stable,
        log_start_offset: seen.offsets.start,
        records: Some(Records::Elsewhere(0)),
        ..PartitionData::default()
    };
    if seen.code != ErrorCode::None {
        ctx.broker.metrics.failed_fetch.inc();
        (data.high_watermark, data.last_stable_offset, data.log_start_offset) = (-1, -1, -1);
        return data;
    }
    if let Some((epoch, end_offset)) = seen.diverging {
        data.diverging_epoch = EpochEndOffset { epoch, end_offset };
        return data;
    }
    let mut filling = Filling::default();
    match (seen.found, Magic::of_fetch(ctx.version)) {
        (Found::Nothing, _) => {}
        (found, Some(magic)) => {
            let open_bytes = ctx.broker.config.limits.max_decompressed_bytes;
            let Wanted { offset, max_bytes, .. } = *wanted;
            match super::legacy_fetch::to_message_set(found, magic, offset, max_bytes, open_bytes) {
                Ok(set) => filling.push_bytes(set),
                Err(code) => data.error_code = code.code(),
            }
        }
        (Found::Memory(slices), None) => slices.into_iter().for_each(|slice| filling.push_bytes(slice)),
        (Found::File(range), None) => filling.push_file(range),
    }
    *bytes_out += filling.len();
    data.records = Some(Records::Elsewhere(filling.len()));
    if !filling.is_empty() {
        records.push(filling);
    }
    data
}
