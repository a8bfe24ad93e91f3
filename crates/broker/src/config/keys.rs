//! The table of broker settings: name, type, how to set it, how to print it.
//!
//! One table serves the command line, the properties file, DescribeConfigs and the documentation, so they cannot
//! disagree. Broker-wide defaults of topic settings are not repeated here: [`find`] falls through to the topic table.

use super::parse::{boolean, fingerprint, host_and_port, listeners, number, print_listeners};
use super::topic_keys::{self, TopicKey};
use super::{ClientAuth, Config};

/// Type of a setting, as DescribeConfigs reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// true or false
    Boolean,
    /// text
    String,
    /// 32 bits
    Int,
    /// 16 bits
    Short,
    /// 64 bits
    Long,
    /// floating point
    Double,
    /// comma-separated words
    List,
}

/// One broker setting.
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Puts a value in, or says what would be accepted.
    pub set: fn(&mut Config, &str) -> Result<(), String>,
    /// The value as Kafka prints it; `None` is Kafka's null.
    pub get: fn(&Config) -> Option<String>,
}

/// A setting found by name.
pub(super) enum Found {
    /// One of the table.
    Own(&'static Key),
    /// The broker-wide default of a topic setting.
    TopicDefault(&'static TopicKey),
}

impl Found {
    pub(super) fn set(&self, config: &mut Config, text: &str) -> Result<(), String> {
        match self {
            Found::Own(key) => (key.set)(config, text),
            Found::TopicDefault(key) => (key.set)(&mut config.topic_defaults, text),
        }
    }

    pub(super) fn get(&self, config: &Config) -> Option<String> {
        match self {
            Found::Own(key) => (key.get)(config),
            Found::TopicDefault(key) => Some((key.get)(&config.topic_defaults)),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Found::Own(key) => key.kind,
            Found::TopicDefault(key) => key.kind,
        }
    }
}

pub(super) fn find(name: &str) -> Option<Found> {
    let own = KEYS.iter().find(|key| key.name == name).map(Found::Own);
    own.or_else(|| topic_keys::find_by_broker_name(name).map(Found::TopicDefault))
}

/// Whether `name` is a setting of the table and no topic's default.
pub(super) fn is_own(name: &str) -> bool {
    KEYS.iter().any(|key| key.name == name)
}

macro_rules! numeric {
    ($name:literal, $kind:expr, $($field:ident).+, $least:expr) => {
        Key {
            name: $name,
            kind: $kind,
            set: |config, text| {
                config.$($field).+ = number(text, $least)?;
                Ok(())
            },
            get: |config| Some(config.$($field).+.to_string()),
        }
    };
}

macro_rules! flag {
    ($name:literal, $($field:ident).+) => {
        Key {
            name: $name,
            kind: Kind::Boolean,
            set: |config, text| {
                config.$($field).+ = boolean(text)?;
                Ok(())
            },
            get: |config| Some(config.$($field).+.to_string()),
        }
    };
}

macro_rules! path {
    ($name:literal, $($field:ident).+) => {
        Key {
            name: $name,
            kind: Kind::String,
            set: |config, text| {
                config.$($field).+ = (!text.is_empty()).then(|| text.into());
                Ok(())
            },
            get: |config| config.$($field).+.as_ref().map(|path| path.display().to_string()),
        }
    };
}

/// Accepted so that a file written for Kafka's one-node set-up is understood: with one broker each of these can only
/// be 1, and any other value is refused when the topic is made, not here.
macro_rules! one_replica {
    ($name:literal) => {
        Key {
            name: $name,
            kind: Kind::Short,
            set: |_, text| number::<i16>(text, 1).map(|_| ()),
            get: |_| Some("1".to_owned()),
        }
    };
}

/// All broker settings, by name.
pub const KEYS: &[Key] = &[
    Key {
        name: "advertised.listeners",
        kind: Kind::String,
        set: |config, text| {
            config.advertised = listeners(text)?;
            Ok(())
        },
        get: |config| print_listeners(&config.advertised),
    },
    flag!("auto.create.topics.enable", auto_create_topics),
    Key {
        name: "broker.id",
        kind: Kind::Int,
        set: |config, text| {
            config.node_id = number(text, 0)?;
            Ok(())
        },
        get: |config| Some(config.node_id.to_string()),
    },
    Key {
        name: "broker.rack",
        kind: Kind::String,
        set: |config, text| {
            config.rack = (!text.is_empty()).then(|| text.to_owned());
            Ok(())
        },
        get: |config| config.rack.clone(),
    },
    Key {
        name: "cluster.id",
        kind: Kind::String,
        set: |config, text| {
            if text.is_empty() || text.len() > 64 || !text.chars().all(|c| c.is_ascii_graphic()) {
                return Err("1 to 64 printable characters are needed".to_owned());
            }
            config.cluster_id = Some(text.to_owned());
            Ok(())
        },
        get: |config| config.cluster_id.clone(),
    },
    numeric!("connections.max.idle.ms", Kind::Long, limits.connections_max_idle_ms, 1),
    numeric!("default.replication.factor", Kind::Int, default_replication_factor, 1),
    flag!("delete.topic.enable", delete_topic_enable),
    numeric!("fetch.max.bytes", Kind::Int, limits.fetch_max_bytes, 1024),
    numeric!("group.initial.rebalance.delay.ms", Kind::Int, groups.initial_rebalance_delay_ms, 0),
    numeric!("group.max.session.timeout.ms", Kind::Int, groups.max_session_timeout_ms, 1),
    numeric!("group.max.size", Kind::Int, groups.max_size, 1),
    numeric!("group.min.session.timeout.ms", Kind::Int, groups.min_session_timeout_ms, 1),
    Key {
        name: "listeners",
        kind: Kind::String,
        set: |config, text| {
            config.listeners = listeners(text)?;
            Ok(())
        },
        get: |config| print_listeners(&config.listeners),
    },
    numeric!("log.cleaner.backoff.ms", Kind::Long, upkeep.cleaner_backoff_ms, 0),
    flag!("log.cleaner.enable", upkeep.cleaner_enable),
    Key {
        name: "log.dir",
        kind: Kind::String,
        set: |config, text| set_data_dir(config, text),
        get: |config| Some(config.data_dir.display().to_string()),
    },
    Key {
        name: "log.dirs",
        kind: Kind::String,
        set: |config, text| set_data_dir(config, text),
        get: |config| Some(config.data_dir.display().to_string()),
    },
    numeric!("log.flush.offset.checkpoint.interval.ms", Kind::Int, upkeep.checkpoint_interval_ms, 0),
    numeric!("log.retention.check.interval.ms", Kind::Long, upkeep.retention_check_interval_ms, 1),
    Key {
        name: "log.retention.hours",
        kind: Kind::Int,
        set: |config, text| {
            config.topic_defaults.retention_ms = in_milliseconds(text, -1, MS_PER_HOUR)?;
            Ok(())
        },
        get: |config| Some((config.topic_defaults.retention_ms / MS_PER_HOUR).to_string()),
    },
    Key {
        name: "log.retention.minutes",
        kind: Kind::Int,
        set: |config, text| {
            config.topic_defaults.retention_ms = in_milliseconds(text, -1, MS_PER_MINUTE)?;
            Ok(())
        },
        get: |_| None,
    },
    Key {
        name: "log.roll.hours",
        kind: Kind::Int,
        set: |config, text| {
            config.topic_defaults.segment_ms = in_milliseconds(text, 1, MS_PER_HOUR)?;
            Ok(())
        },
        get: |config| Some((config.topic_defaults.segment_ms / MS_PER_HOUR).max(1).to_string()),
    },
    Key {
        name: "log.roll.jitter.hours",
        kind: Kind::Int,
        set: |config, text| {
            config.topic_defaults.segment_jitter_ms = in_milliseconds(text, 0, MS_PER_HOUR)?;
            Ok(())
        },
        get: |config| Some((config.topic_defaults.segment_jitter_ms / MS_PER_HOUR).to_string()),
    },
    numeric!("max.connections", Kind::Int, limits.max_connections, 1),
    numeric!("max.connections.per.ip", Kind::Int, limits.max_connections_per_ip, 0),
    numeric!("max.incremental.fetch.session.cache.slots", Kind::Int, limits.fetch_session_slots, 0),
    numeric!("max.request.partition.size.limit", Kind::Int, limits.max_request_partition_size, 1),
    numeric!("node.id", Kind::Int, node_id, 0),
    numeric!("num.network.threads", Kind::Int, workers, 1),
    numeric!("num.partitions", Kind::Int, num_partitions, 1),
    numeric!("offset.metadata.max.bytes", Kind::Int, groups.offset_metadata_max_bytes, 0),
    numeric!(
        "offsets.retention.check.interval.ms",
        Kind::Long,
        groups.offsets_retention_check_interval_ms,
        1
    ),
    numeric!("offsets.retention.minutes", Kind::Int, groups.offsets_retention_minutes, 1),
    numeric!("offsets.topic.num.partitions", Kind::Int, groups.offsets_topic_partitions, 1),
    one_replica!("offsets.topic.replication.factor"),
    numeric!("offsets.topic.segment.bytes", Kind::Int, groups.offsets_topic_segment_bytes, 1_048_576),
    Key {
        name: "penstock.admin.listener",
        kind: Kind::String,
        set: |config, text| {
            if !text.is_empty() {
                host_and_port(text)?;
            }
            config.admin = (!text.is_empty()).then(|| text.to_owned());
            Ok(())
        },
        get: |config| config.admin.clone(),
    },
    numeric!("penstock.cleaner.cpu.percent", Kind::Int, upkeep.cleaner_cpu_percent, 1),
    numeric!("penstock.fetch.max.wait.ms", Kind::Long, limits.fetch_max_wait_ms, 0),
    numeric!("penstock.group.max.count", Kind::Int, groups.max_groups, 1),
    Key {
        name: "penstock.instance",
        kind: Kind::String,
        set: |config, text| {
            config.instance = text.to_owned();
            Ok(())
        },
        get: |config| Some(config.instance.clone()),
    },
    numeric!("penstock.max.answer.bytes", Kind::Long, limits.max_answer_bytes, 1),
    numeric!("penstock.max.decompressed.bytes", Kind::Int, limits.max_decompressed_bytes, 1024),
    numeric!("penstock.max.partitions", Kind::Int, limits.max_partitions, 1),
    numeric!("penstock.max.partitions.per.topic", Kind::Int, limits.max_partitions_per_topic, 1),
    numeric!("penstock.max.producers.per.partition", Kind::Int, limits.max_producers_per_partition, 1),
    numeric!("penstock.read.stall.ms", Kind::Long, limits.read_stall_ms, 1),
    Key {
        name: "penstock.ssl.revoked.sha256",
        kind: Kind::List,
        set: |config, text| {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            config.tls.revoked = words.map(fingerprint).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| {
            let hex = |print: &[u8; 32]| print.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            Some(config.tls.revoked.iter().map(hex).collect::<Vec<_>>().join(","))
        },
    },
    numeric!("penstock.stop.grace.ms", Kind::Long, stop_grace_ms, 0),
    numeric!("penstock.write.stall.ms", Kind::Long, limits.write_stall_ms, 1),
    numeric!("producer.id.expiration.ms", Kind::Int, upkeep.producer_id_expiration_ms, 1),
    numeric!("queued.max.request.bytes", Kind::Long, limits.queued_max_request_bytes, 1),
    numeric!("socket.request.max.bytes", Kind::Int, limits.socket_request_max_bytes, 1),
    Key {
        name: "ssl.client.auth",
        kind: Kind::String,
        set: |config, text| match text {
            "none" => {
                config.tls.client_auth = ClientAuth::None;
                Ok(())
            }
            "required" => {
                config.tls.client_auth = ClientAuth::Required;
                Ok(())
            }
            _ => Err("`none` or `required` is needed".to_owned()),
        },
        get: |config| {
            Some(if config.tls.client_auth == ClientAuth::Required { "required" } else { "none" }.to_owned())
        },
    },
    path!("ssl.keystore.location", tls.keystore),
    path!("ssl.truststore.location", tls.truststore),
    numeric!("telemetry.max.bytes", Kind::Int, limits.telemetry_max_bytes, 1),
    one_replica!("transaction.state.log.min.isr"),
    one_replica!("transaction.state.log.replication.factor"),
];

const MS_PER_HOUR: i64 = 3_600_000;
const MS_PER_MINUTE: i64 = 60_000;

/// A number of `unit`s in milliseconds; -1 stays what it is.
fn in_milliseconds(text: &str, least: i64, unit: i64) -> Result<i64, String> {
    let count: i64 = number(text, least)?;
    Ok(if count < 0 { count } else { count.saturating_mul(unit) })
}

fn set_data_dir(config: &mut Config, text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains(',') {
        return Err("exactly one directory is needed".to_owned());
    }
    config.data_dir = text.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_value_prints_as_something_that_may_be_set() {
        assert!(KEYS.windows(2).all(|pair| pair[0].name < pair[1].name), "keep the table sorted by name");
        let default = Config::default();
        for key in KEYS {
            if let Some(printed) = (key.get)(&default) {
                let mut config = Config::default();
                (key.set)(&mut config, &printed).unwrap_or_else(|reason| panic!("{}: {reason}", key.name));
            }
        }
    }

    #[test]
    fn broker_wide_defaults_of_topic_settings_are_found_by_their_broker_name() {
        let mut config = Config::default();
        config.set("log.segment.bytes", "2000000").expect("valid");
        assert_eq!(config.topic_defaults.segment_bytes, 2_000_000);
        assert!(config.set("segment.bytes", "2000000").is_err(), "a topic's name is not a broker setting");
    }
}
