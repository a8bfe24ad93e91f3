//! What may differ from topic to topic: Kafka's topic settings, their defaults, their broker-wide names.
//!
//! A topic stores only what was set for it; [`TopicConfig::with`] lays that over the broker's defaults. Settings that
//! Kafka knows and that mean nothing here (throttled replicas, tiered storage) are accepted at their default only,
//! so that nobody believes in a setting that has no effect.

use std::collections::BTreeMap;

use protocol::batch::Compression;

use super::Kind;

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

/// One topic setting.
pub struct TopicKey {
    /// Its name on a topic.
    pub name: &'static str,
    /// The broker-wide setting that is its default, if Kafka has one.
    pub broker_name: Option<&'static str>,
    /// Its type, for DescribeConfigs and for AlterConfigs' append and subtract.
    pub kind: Kind,
    /// Puts a value in, or says what would be accepted.
    pub set: fn(&mut TopicConfig, &str) -> Result<(), String>,
    /// The value as Kafka prints it.
    pub get: fn(&TopicConfig) -> String,
}

/// Why a topic's setting was refused; Kafka's INVALID_CONFIG with this text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TopicConfigError {
    /// Not a topic setting.
    #[error("unknown topic setting `{0}`")]
    Unknown(String),
    /// The value does not fit.
    #[error("`{key}` cannot be `{value}`: {reason}")]
    Invalid {
        /// The setting's name.
        key: String,
        /// What was given.
        value: String,
        /// What would be accepted.
        reason: String,
    },
}

impl TopicConfig {
    /// These settings with `overrides` laid over them.
    ///
    /// # Errors
    /// Names the first override that cannot be used.
    pub fn with(&self, overrides: &BTreeMap<String, String>) -> Result<TopicConfig, TopicConfigError> {
        let mut config = self.clone();
        for (key, value) in overrides {
            let entry = find(key).ok_or_else(|| TopicConfigError::Unknown(key.clone()))?;
            (entry.set)(&mut config, value).map_err(|reason| TopicConfigError::Invalid {
                key: key.clone(),
                value: value.clone(),
                reason,
            })?;
        }
        if config.min_compaction_lag_ms > config.max_compaction_lag_ms {
            return Err(TopicConfigError::Invalid {
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

/// The setting called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS.iter().find(|key| key.name == name)
}

/// The setting whose broker-wide default is called `name`.
#[must_use]
pub fn find_by_broker_name(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS.iter().find(|key| key.broker_name == Some(name))
}

fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(text: &str, least: T) -> Result<T, String> {
    let value: T = text.trim().parse().map_err(|_| "a whole number is needed".to_owned())?;
    if value < least {
        return Err(format!("it must be at least {least}"));
    }
    Ok(value)
}

fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("`true` or `false` is needed".to_owned()),
    }
}

fn only(text: &str, accepted: &str) -> Result<(), String> {
    if text.trim() == accepted { Ok(()) } else { Err(format!("this broker has only `{accepted}`")) }
}

macro_rules! numeric {
    ($name:literal, $broker:expr, $kind:expr, $field:ident, $least:expr) => {
        TopicKey {
            name: $name,
            broker_name: $broker,
            kind: $kind,
            set: |config, text| {
                config.$field = number(text, $least)?;
                Ok(())
            },
            get: |config| config.$field.to_string(),
        }
    };
}

macro_rules! flag {
    ($name:literal, $broker:expr, $field:ident) => {
        TopicKey {
            name: $name,
            broker_name: $broker,
            kind: Kind::Boolean,
            set: |config, text| {
                config.$field = boolean(text)?;
                Ok(())
            },
            get: |config| config.$field.to_string(),
        }
    };
}

/// Settings that Kafka has and that can only be at their default here.
macro_rules! fixed {
    ($name:literal, $broker:expr, $kind:expr, $value:literal) => {
        TopicKey {
            name: $name,
            broker_name: $broker,
            kind: $kind,
            set: |_, text| only(text, $value),
            get: |_| $value.to_owned(),
        }
    };
}

/// All topic settings, by name.
pub const TOPIC_KEYS: &[TopicKey] = &[
    TopicKey {
        name: "cleanup.policy",
        broker_name: Some("log.cleanup.policy"),
        kind: Kind::List,
        set: |config, text| {
            let (mut delete, mut compact) = (false, false);
            for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                match word {
                    "delete" => delete = true,
                    "compact" => compact = true,
                    _ => return Err("`delete`, `compact` or both are needed".to_owned()),
                }
            }
            (config.delete, config.compact) = (delete, compact);
            Ok(())
        },
        get: |config| match (config.delete, config.compact) {
            (true, true) => "compact,delete".to_owned(),
            (false, true) => "compact".to_owned(),
            (true, false) => "delete".to_owned(),
            (false, false) => String::new(),
        },
    },
    fixed!("compression.gzip.level", Some("compression.gzip.level"), Kind::Int, "-1"),
    fixed!("compression.lz4.level", Some("compression.lz4.level"), Kind::Int, "9"),
    TopicKey {
        name: "compression.type",
        broker_name: Some("compression.type"),
        kind: Kind::String,
        set: |config, text| {
            config.compression = match text.trim() {
                "producer" => None,
                "uncompressed" => Some(Compression::None),
                word => {
                    let codec = Compression::from_name(word).filter(|codec| *codec != Compression::None);
                    Some(codec.ok_or("one of uncompressed, zstd, lz4, snappy, gzip, producer is needed")?)
                }
            };
            Ok(())
        },
        get: |config| match config.compression {
            None => "producer".to_owned(),
            Some(Compression::None) => "uncompressed".to_owned(),
            Some(codec) => codec.name().to_owned(),
        },
    },
    fixed!("compression.zstd.level", Some("compression.zstd.level"), Kind::Int, "3"),
    numeric!(
        "delete.retention.ms",
        Some("log.cleaner.delete.retention.ms"),
        Kind::Long,
        delete_retention_ms,
        0
    ),
    numeric!(
        "file.delete.delay.ms",
        Some("log.segment.delete.delay.ms"),
        Kind::Long,
        file_delete_delay_ms,
        0
    ),
    numeric!("flush.messages", Some("log.flush.interval.messages"), Kind::Long, flush_messages, 1),
    numeric!("flush.ms", Some("log.flush.interval.ms"), Kind::Long, flush_ms, 0),
    fixed!("follower.replication.throttled.replicas", None, Kind::List, ""),
    numeric!("index.interval.bytes", Some("log.index.interval.bytes"), Kind::Int, index_interval_bytes, 0),
    fixed!("leader.replication.throttled.replicas", None, Kind::List, ""),
    fixed!("local.retention.bytes", Some("log.local.retention.bytes"), Kind::Long, "-2"),
    fixed!("local.retention.ms", Some("log.local.retention.ms"), Kind::Long, "-2"),
    numeric!(
        "max.compaction.lag.ms",
        Some("log.cleaner.max.compaction.lag.ms"),
        Kind::Long,
        max_compaction_lag_ms,
        1
    ),
    numeric!("max.message.bytes", Some("message.max.bytes"), Kind::Int, max_message_bytes, 0),
    numeric!(
        "message.timestamp.after.max.ms",
        Some("log.message.timestamp.after.max.ms"),
        Kind::Long,
        timestamp_after_max_ms,
        0
    ),
    numeric!(
        "message.timestamp.before.max.ms",
        Some("log.message.timestamp.before.max.ms"),
        Kind::Long,
        timestamp_before_max_ms,
        0
    ),
    TopicKey {
        name: "message.timestamp.type",
        broker_name: Some("log.message.timestamp.type"),
        kind: Kind::String,
        set: |config, text| match text.trim() {
            "CreateTime" => {
                config.log_append_time = false;
                Ok(())
            }
            "LogAppendTime" => {
                config.log_append_time = true;
                Ok(())
            }
            _ => Err("`CreateTime` or `LogAppendTime` is needed".to_owned()),
        },
        get: |config| if config.log_append_time { "LogAppendTime" } else { "CreateTime" }.to_owned(),
    },
    TopicKey {
        name: "min.cleanable.dirty.ratio",
        broker_name: Some("log.cleaner.min.cleanable.ratio"),
        kind: Kind::Double,
        set: |config, text| match text.trim().parse::<f64>() {
            Ok(value) if (0.0..=1.0).contains(&value) => {
                config.min_cleanable_dirty_ratio = value;
                Ok(())
            }
            _ => Err("a number from 0 to 1 is needed".to_owned()),
        },
        get: |config| config.min_cleanable_dirty_ratio.to_string(),
    },
    numeric!(
        "min.compaction.lag.ms",
        Some("log.cleaner.min.compaction.lag.ms"),
        Kind::Long,
        min_compaction_lag_ms,
        0
    ),
    numeric!("min.insync.replicas", Some("min.insync.replicas"), Kind::Int, min_insync_replicas, 1),
    TopicKey {
        name: "penstock.durability",
        broker_name: Some("penstock.durability"),
        kind: Kind::String,
        set: |config, text| match text.trim() {
            "page-cache" => {
                config.durability = Durability::PageCache;
                Ok(())
            }
            "fsync" => {
                config.durability = Durability::Fsync;
                Ok(())
            }
            _ => Err("`page-cache` or `fsync` is needed".to_owned()),
        },
        get: |config| if config.durability == Durability::Fsync { "fsync" } else { "page-cache" }.to_owned(),
    },
    flag!("preallocate", Some("log.preallocate"), preallocate),
    fixed!("remote.log.copy.disable", None, Kind::Boolean, "false"),
    fixed!("remote.log.delete.on.disable", None, Kind::Boolean, "false"),
    fixed!("remote.storage.enable", None, Kind::Boolean, "false"),
    numeric!("retention.bytes", Some("log.retention.bytes"), Kind::Long, retention_bytes, -1),
    numeric!("retention.ms", Some("log.retention.ms"), Kind::Long, retention_ms, -1),
    // Kafka 4 refuses less than 1 MiB (KIP-1030): tiny segments are files without end.
    numeric!("segment.bytes", Some("log.segment.bytes"), Kind::Int, segment_bytes, 1_048_576),
    numeric!("segment.index.bytes", Some("log.index.size.max.bytes"), Kind::Int, segment_index_bytes, 4),
    numeric!("segment.jitter.ms", Some("log.roll.jitter.ms"), Kind::Long, segment_jitter_ms, 0),
    numeric!("segment.ms", Some("log.roll.ms"), Kind::Long, segment_ms, 1),
    flag!("unclean.leader.election.enable", Some("unclean.leader.election.enable"), unclean_leader_election),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_prints_as_something_that_may_be_set() {
        let default = TopicConfig::default();
        for key in TOPIC_KEYS {
            let printed = (key.get)(&default);
            let mut config = TopicConfig::default();
            (key.set)(&mut config, &printed).unwrap_or_else(|reason| panic!("{}: {reason}", key.name));
            assert_eq!(config, default, "{}", key.name);
        }
    }

    #[test]
    fn overrides_lie_over_defaults_and_mistakes_are_named() {
        let overrides = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
        assert_eq!(TopicConfig::default().with(&overrides).expect("valid").retention_ms, 5);
        let wrong = BTreeMap::from([("segment.bytes".to_owned(), "10".to_owned())]);
        let error = TopicConfig::default().with(&wrong).expect_err("too small");
        assert_eq!(error.to_string(), "`segment.bytes` cannot be `10`: it must be at least 1048576");
    }
}
