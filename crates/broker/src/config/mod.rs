//! What the process was told to be: every broker setting, parsed once.
//!
//! Names are Kafka's where Kafka has the setting, ours begin with `penstock.`. [`keys`] is the one table of them: it
//! parses and prints each (DescribeConfigs). [`topic`] holds what may differ from topic to topic; the broker-wide values
//! here are the defaults below a topic's own. [`docs`] says what each setting does, and which have no effect.

mod docs;
mod keys;
pub mod live;
mod parse;
pub mod properties;
pub mod topic;
pub mod topic_keys;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

pub use docs::{Doc, doc};
pub use keys::{KEYS, Key, Kind};
pub use live::Live;
pub use topic::TopicConfig;

/// A setting that cannot be used, in words for the person who wrote it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Nobody reads this key; a typo must not silently leave a default in force.
    #[error("unknown setting `{0}`")]
    Unknown(String),
    /// The same of a topic's settings.
    #[error("unknown topic setting `{0}`")]
    UnknownOfTopic(String),
    /// The key exists and the value does not fit.
    #[error("`{key}` cannot be `{value}`: {reason}")]
    Invalid {
        /// The setting's name.
        key: String,
        /// What was given.
        value: String,
        /// What would be accepted.
        reason: String,
    },
    /// The key exists and the broker reads it only once.
    #[error("`{0}` is read when the broker starts: it changes with the configuration file and a restart")]
    ReadAtStart(String),
    /// A line of the file that is not `key=value`.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Settings that do not work together, or one that must be given.
    #[error("{0}")]
    Together(String),
}

/// How bytes travel on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP as it is.
    Plaintext,
    /// TLS, with client certificates if `ssl.client.auth` says so.
    Ssl,
}

impl Protocol {
    /// Kafka's name for it, which is also the listener's name here.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Plaintext => "PLAINTEXT",
            Protocol::Ssl => "SSL",
        }
    }
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Plain or TLS; a broker has at most one listener of each.
    pub protocol: Protocol,
    /// Name or address to bind; empty binds every interface.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
}

/// Whether a TLS client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// None is asked for.
    None,
    /// The handshake fails without one that the trust store signed.
    Required,
}

/// Where the TLS material lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM: certificate chain and PKCS#8 key in one file.
    pub keystore: Option<PathBuf>,
    /// PEM: one or more CAs that sign client certificates.
    pub truststore: Option<PathBuf>,
    /// Whether clients must show one.
    pub client_auth: ClientAuth,
    /// SHA-256 of client certificates (DER) that are refused.
    pub revoked: Vec<[u8; 32]>,
}

/// Bounds on what clients can make the broker hold. Each has a metric and an error, named at its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request frame.
    pub socket_request_max_bytes: usize,
    /// Bytes of requests read and not yet answered, all connections together.
    pub queued_max_request_bytes: u64,
    /// Connections in all.
    pub max_connections: u32,
    /// Connections from one address.
    pub max_connections_per_ip: u32,
    /// A connection without a complete request for so long is closed.
    pub connections_max_idle_ms: u64,
    /// A client that takes no byte of its response for so long is closed.
    pub write_stall_ms: u64,
    /// A request frame that began must be complete after so long.
    pub read_stall_ms: u64,
    /// Most bytes of records in one fetch response.
    pub fetch_max_bytes: u64,
    /// Longest wait a fetch can ask for.
    pub fetch_max_wait_ms: u64,
    /// Fetch sessions remembered.
    pub fetch_session_slots: usize,
    /// Partitions of one topic.
    pub max_partitions_per_topic: i32,
    /// Partitions of all topics.
    pub max_partitions: usize,
    /// Partitions in one DescribeTopicPartitions response.
    pub max_request_partition_size: usize,
    /// Bytes of long answers that clients do not take, of all connections together.
    pub max_answer_bytes: u64,
    /// Bytes in one PushTelemetry.
    pub telemetry_max_bytes: usize,
    /// Producer ids remembered for a partition.
    pub max_producers_per_partition: usize,
    /// Largest size that one compressed batch may have when open.
    pub max_decompressed_bytes: usize,
}

/// What the group coordinator obeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Partitions of `__consumer_offsets`, fixed when it is first created.
    pub offsets_topic_partitions: i32,
    /// Segment size of `__consumer_offsets`: small, so that compaction keeps rebuilding short.
    pub offsets_topic_segment_bytes: i32,
    /// How long a commit outlives its group, in minutes.
    pub offsets_retention_minutes: i64,
    /// How often expired commits are looked for.
    pub offsets_retention_check_interval_ms: u64,
    /// Longest metadata string of a commit.
    pub offset_metadata_max_bytes: usize,
    /// How long the first join of an empty group waits for others.
    pub initial_rebalance_delay_ms: u64,
    /// Shortest session a member may ask for.
    pub min_session_timeout_ms: i32,
    /// Longest session a member may ask for.
    pub max_session_timeout_ms: i32,
    /// Members of one group.
    pub max_size: usize,
    /// Groups in all.
    pub max_groups: usize,
}

/// Upkeep in the background.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// How often retention looks at every log.
    pub retention_check_interval_ms: u64,
    /// How long the cleaner rests when nothing is dirty.
    pub cleaner_backoff_ms: u64,
    /// Whether compaction runs at all.
    pub cleaner_enable: bool,
    /// Share of one core that the cleaner may use, in percent.
    pub cleaner_cpu_percent: u32,
    /// How often recovery points are written down.
    pub checkpoint_interval_ms: u64,
    /// A producer id unused for so long is forgotten.
    pub producer_id_expiration_ms: i64,
}

/// Everything the process was told. What clients changed since then lies over it in [`live`].
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// This broker's id.
    pub node_id: i32,
    /// Given by whoever starts the cluster; otherwise made at the first start and kept.
    pub cluster_id: Option<String>,
    /// Opaque to us; echoed so that the starter recognises its own.
    pub instance: String,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where to listen; never empty.
    pub listeners: Vec<Listener>,
    /// What clients are told to connect to, where it differs from what is bound.
    pub advertised: Vec<Listener>,
    /// TLS material.
    pub tls: Tls,
    /// Admin HTTP, if any.
    pub admin: Option<String>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Whether asking for a topic makes it.
    pub auto_create_topics: bool,
    /// Whether DeleteTopics is allowed.
    pub delete_topic_enable: bool,
    /// Partitions of a topic when nobody says.
    pub num_partitions: i32,
    /// Replicas of a topic when nobody says.
    pub default_replication_factor: i16,
    /// Threads that serve clients.
    pub workers: usize,
    /// How long a stop waits for requests in progress.
    pub stop_grace_ms: u64,
    /// Bounds.
    pub limits: Limits,
    /// Groups.
    pub groups: Groups,
    /// Upkeep.
    pub upkeep: Upkeep,
    /// Topic settings where a topic has none of its own.
    pub topic_defaults: TopicConfig,
    /// Which settings were given, as written; DescribeConfigs tells them from defaults.
    pub given: BTreeMap<String, String>,
}

const MIB: usize = 1024 * 1024;

impl Default for Config {
    fn default() -> Self {
        Config {
            node_id: 0,
            cluster_id: None,
            instance: String::new(),
            data_dir: PathBuf::from("data"),
            listeners: Vec::new(),
            advertised: Vec::new(),
            tls: Tls { keystore: None, truststore: None, client_auth: ClientAuth::None, revoked: Vec::new() },
            admin: None,
            rack: None,
            auto_create_topics: true,
            delete_topic_enable: true,
            num_partitions: 1,
            default_replication_factor: 1,
            // Two: one core is usually the client's, and a third worker only adds wake-ups (measured for the design).
            workers: 2,
            stop_grace_ms: 5_000,
            limits: Limits {
                socket_request_max_bytes: 100 * MIB,
                // Kafka has no bound by default. One largest frame and room for others: enough for full throughput,
                // since a request lives for microseconds, and the process stays small whatever clients do.
                queued_max_request_bytes: 160 * MIB as u64,
                // Enough for the 10 000 idle connections we promise; the file limit is raised to match at the start.
                max_connections: 20_000,
                max_connections_per_ip: 20_000,
                connections_max_idle_ms: 600_000,
                // A healthy client takes something within seconds; a stopped one may come back within this.
                write_stall_ms: 60_000,
                // 100 MiB at 28 kbit/s would need longer, and nobody does that; one byte a second ends here.
                read_stall_ms: 120_000,
                fetch_max_bytes: 55 * MIB as u64,
                fetch_max_wait_ms: 300_000,
                fetch_session_slots: 1_000,
                max_partitions_per_topic: 10_000,
                max_partitions: 200_000,
                max_request_partition_size: 2_000,
                // Some of the longest there are (the list of a hundred thousand partitions is four megabytes), and as
                // much as a small machine can spare for clients that do not read.
                max_answer_bytes: 64 * MIB as u64,
                telemetry_max_bytes: MIB,
                max_producers_per_partition: 5_000,
                max_decompressed_bytes: 64 * MIB,
            },
            groups: Groups {
                offsets_topic_partitions: 50,
                offsets_topic_segment_bytes: 100 * MIB as i32,
                offsets_retention_minutes: 10_080,
                offsets_retention_check_interval_ms: 600_000,
                offset_metadata_max_bytes: 4_096,
                initial_rebalance_delay_ms: 3_000,
                min_session_timeout_ms: 6_000,
                max_session_timeout_ms: 1_800_000,
                max_size: 5_000,
                max_groups: 100_000,
            },
            upkeep: Upkeep {
                retention_check_interval_ms: 300_000,
                cleaner_backoff_ms: 15_000,
                cleaner_enable: true,
                cleaner_cpu_percent: 25,
                checkpoint_interval_ms: 60_000,
                producer_id_expiration_ms: 86_400_000,
            },
            topic_defaults: TopicConfig::default(),
            given: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Applies one `key=value`.
    ///
    /// # Errors
    /// If nobody knows the key or the value does not fit it.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let entry = keys::find(key).ok_or_else(|| ConfigError::Unknown(key.to_owned()))?;
        entry.set(self, value).map_err(|reason| ConfigError::Invalid {
            key: key.to_owned(),
            value: value.to_owned(),
            reason,
        })?;
        self.given.insert(key.to_owned(), value.to_owned());
        self.settle();
        Ok(())
    }

    /// Of several settings for one value the finest counts, in whatever order they were given.
    fn settle(&mut self) {
        const FINEST_FIRST: [&[&str]; 3] = [
            &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
            &["log.roll.ms", "log.roll.hours"],
            &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        ];
        for names in FINEST_FIRST {
            let finest =
                names.iter().find_map(|name| Some((keys::find(name)?, self.given.get(*name)?.clone())));
            if let Some((key, value)) = finest {
                // It was accepted once.
                let _ = key.set(self, &value);
            }
        }
    }

    /// A setting's value as DescribeConfigs prints it, and its type.
    #[must_use]
    pub fn printed(&self, name: &str) -> Option<(String, Kind)> {
        keys::find(name).map(|key| (key.get(self).unwrap_or_default(), key.kind()))
    }

    /// Checks what only makes sense together, once all is set.
    ///
    /// # Errors
    /// Names the settings that contradict each other.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let together = |text: &str| Err(ConfigError::Together(text.to_owned()));
        if self.listeners.is_empty() {
            return together("`listeners` names no address to listen on");
        }
        let tls = self.listeners.iter().any(|listener| listener.protocol == Protocol::Ssl);
        if tls && self.tls.keystore.is_none() {
            return together(
                "an SSL listener needs `ssl.keystore.location` (PEM: certificate chain and key)",
            );
        }
        if tls && self.tls.client_auth == ClientAuth::Required && self.tls.truststore.is_none() {
            return together(
                "`ssl.client.auth=required` needs `ssl.truststore.location` (PEM: the CAs of clients)",
            );
        }
        for (at, listener) in self.listeners.iter().enumerate() {
            if self.listeners[..at].iter().any(|other| other.protocol == listener.protocol) {
                return together("`listeners` has two listeners of one protocol");
            }
        }
        for told in &self.advertised {
            if !self.listeners.iter().any(|listener| listener.protocol == told.protocol) {
                return together("`advertised.listeners` names a protocol that `listeners` lacks");
            }
        }
        if (self.limits.queued_max_request_bytes as usize) < self.limits.socket_request_max_bytes {
            return together("`queued.max.request.bytes` must not be below `socket.request.max.bytes`");
        }
        Ok(())
    }
}

/// Whether `host` is an address that a client could not connect to.
#[must_use]
pub fn is_unspecified(host: &str) -> bool {
    host.is_empty() || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}
