//! The table of topic settings: name, broker-wide name, type, how to set it, how to print it.
//!
//! Settings that Kafka knows and that mean nothing here (throttled replicas, tiered storage) are accepted at their
//! default only. Others are accepted because files and tools set them, and have no effect: [`super::docs`] says which.

use protocol::batch::Compression;

use super::Kind;
use super::parse::{boolean, number};
use super::topic::{Durability, TopicConfig};

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
}
