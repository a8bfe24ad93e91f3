//! What may differ from topic to topic, with Kafka's defaults.
//!
//! A topic stores only what was set for it; [`TopicConfig::with`] lays that over the broker's defaults. Names and texts
//! are [`topic_keys`]'.

use std::collections::BTreeMap;

use protocol::batch::Compression;

use super::{ConfigError, topic_keys};

/// When a produced batch may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As soon as the operating system has it (and the in-sync replicas): Kafka's promise.
    PageCache,
    /// Once it is on the disk.
    Fsync,
}

/// All settings of one topic, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// Old segments go.
    pub delete: bool,
    /// Only the newest record of a key stays.
    pub compact: bool,
    /// How batches are stored; `None` leaves them as the producer made them.
    pub compression: Option<Compression>,
    /// How long a tombstone stays readable.
    pub delete_retention_ms: i64,
    /// How long a deleted file stays for reads in progress.
    pub file_delete_delay_ms: i64,
    /// Flush after so many records.
    pub flush_messages: i64,
    /// Flush after so long.
    pub flush_ms: i64,
    /// One index entry for so many bytes.
    pub index_interval_bytes: i32,
    /// Records older than this are compacted even when little is dirty.
    pub max_compaction_lag_ms: i64,
    /// Largest batch.
    pub max_message_bytes: i32,
    /// How far a record's time may lie ahead.
    pub timestamp_after_max_ms: i64,
    /// How far a record's time may lie behind.
    pub timestamp_before_max_ms: i64,
    /// Whether the broker's time replaces the producer's.
    pub log_append_time: bool,
    /// Dirty share from which compaction starts.
    pub min_cleanable_dirty_ratio: f64,
    /// Records younger than this are not compacted.
    pub min_compaction_lag_ms: i64,
    /// Replicas that must have a batch before `acks=all` succeeds.
    pub min_insync_replicas: i32,
    /// Kept for Kafka's tools; the log grows its files as needed.
    pub preallocate: bool,
    /// Bytes of a partition beyond which old segments go; -1 for no bound.
    pub retention_bytes: i64,
    /// Age beyond which segments go; -1 for no bound.
    pub retention_ms: i64,
    /// Size at which a segment is closed.
    pub segment_bytes: i32,
    /// Kept for Kafka's tools; index files are sized by need.
    pub segment_index_bytes: i32,
    /// Random part of `segment.ms`.
    pub segment_jitter_ms: i64,
    /// Age at which a segment is closed.
    pub segment_ms: i64,
    /// Whether a replica that lost records may lead.
    pub unclean_leader_election: bool,
    /// Ours: see [`Durability`].
    pub durability: Durability,
}

impl Default for TopicConfig {
    fn default() -> Self {
        TopicConfig {
            delete: true,
            compact: false,
            compression: None,
            delete_retention_ms: 86_400_000,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            index_interval_bytes: 4_096,
            max_compaction_lag_ms: i64::MAX,
            max_message_bytes: 1_048_588,
            timestamp_after_max_ms: 3_600_000,
            timestamp_before_max_ms: i64::MAX,
            log_append_time: false,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            min_insync_replicas: 1,
            preallocate: false,
            retention_bytes: -1,
            retention_ms: 604_800_000,
            segment_bytes: 1_073_741_824,
            segment_index_bytes: 10_485_760,
            segment_jitter_ms: 0,
            segment_ms: 604_800_000,
            unclean_leader_election: false,
            durability: Durability::PageCache,
        }
    }
}

impl TopicConfig {
    /// These settings with `overrides` laid over them.
    ///
    /// # Errors
    /// Names the first override that cannot be used.
    pub fn with(&self, overrides: &BTreeMap<String, String>) -> Result<TopicConfig, ConfigError> {
        let mut config = self.clone();
        for (key, value) in overrides {
            let entry = topic_keys::find(key).ok_or_else(|| ConfigError::UnknownOfTopic(key.clone()))?;
            (entry.set)(&mut config, value).map_err(|reason| ConfigError::Invalid {
                key: key.clone(),
                value: value.clone(),
                reason,
            })?;
        }
        if config.min_compaction_lag_ms > config.max_compaction_lag_ms {
            return Err(ConfigError::Invalid {
                key: "min.compaction.lag.ms".to_owned(),
                value: config.min_compaction_lag_ms.to_string(),
                reason: format!("max.compaction.lag.ms is {}", config.max_compaction_lag_ms),
            });
        }
        Ok(config)
    }

    /// Whether a produced batch waits for the disk, and whether `records` more since the last flush make it so.
    #[must_use]
    pub fn flushes(&self, unflushed_records: i64) -> bool {
        self.durability == Durability::Fsync || unflushed_records >= self.flush_messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_lie_over_defaults_and_mistakes_are_named() {
        let overrides = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
        assert_eq!(TopicConfig::default().with(&overrides).expect("valid").retention_ms, 5);
        let wrong = BTreeMap::from([("segment.bytes".to_owned(), "10".to_owned())]);
        let error = TopicConfig::default().with(&wrong).expect_err("too small");
        assert_eq!(error.to_string(), "`segment.bytes` cannot be `10`: it must be at least 1048576");
    }
}
