//! How a log behaves. Kafka's topic configurations as typed values; parsing names and texts is the broker's.

/// Milliseconds in a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Which timestamp a batch carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The time of the append on the leader.
    LogAppendTime,
}

/// Configuration of one log. Field names are Kafka's topic configurations; `None` is Kafka's -1 or "no limit".
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is rolled before it would grow above this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled when its first record is this much older than the newest.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: up to so much, drawn for each segment, is taken off `segment.ms`, so that not all logs roll at
    /// once.
    pub segment_jitter_ms: i64,
    /// `index.interval.bytes`: one index entry for this many bytes of log.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: a segment is rolled when its index has grown to this.
    pub segment_index_bytes: u32,
    /// `cleanup.policy` contains `delete`.
    pub delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub compact: bool,
    /// `retention.ms`
    pub retention_ms: Option<i64>,
    /// `retention.bytes`
    pub retention_bytes: Option<u64>,
    /// `delete.retention.ms`: how long tombstones and transaction markers outlive their compaction.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: Option<i64>,
    /// `min.cleanable.dirty.ratio`
    pub min_cleanable_dirty_ratio: f64,
    /// `max.message.bytes`: the largest batch a producer may append.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: Option<i64>,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: Option<i64>,
    /// `producer.id.expiration.ms`: a producer that was silent this long is forgotten.
    pub producer_id_expiration_ms: i64,
    /// Ours: how many producers one partition remembers; the longest silent one makes room.
    pub max_producer_ids: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 << 20,
            delete: true,
            compact: false,
            retention_ms: Some(7 * DAY_MS),
            retention_bytes: None,
            delete_retention_ms: DAY_MS,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: None,
            min_cleanable_dirty_ratio: 0.5,
            // 1 MiB plus the batch header's own overhead, Kafka's default.
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: None,
            timestamp_after_max_ms: Some(60 * 60 * 1000),
            producer_id_expiration_ms: DAY_MS,
            // About 1 MiB of state a partition at the very most; Kafka has no such bound.
            max_producer_ids: 4096,
        }
    }
}
