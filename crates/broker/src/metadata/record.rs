//! The changes that metadata is made of.
//!
//! On disk a record is JSON: changes are rare, and a person with a broken disk can read them. Fields may be added with
//! a default; a kind that an older binary does not know makes it refuse the journal in words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The first record of every journal.
    Cluster {
        /// What clients see as the cluster id.
        id: String,
    },
    /// The broker came up without having gone down properly: every leader epoch is one higher from here on.
    UncleanStart {
        /// How many such starts there were.
        count: i32,
    },
    /// A topic was made.
    Topic {
        /// Its name.
        name: String,
        /// Its id, never used again.
        id: Uuid,
        /// Number of partitions.
        partitions: i32,
        /// The count of unclean starts at that moment; the partitions' leader epoch counts from there.
        #[serde(default)]
        since: i32,
        /// What was set for it.
        #[serde(default)]
        settings: BTreeMap<String, String>,
    },
    /// A topic was deleted.
    TopicGone {
        /// Its name.
        name: String,
    },
    /// A topic got more partitions.
    Partitions {
        /// Its name.
        name: String,
        /// The new number.
        count: i32,
    },
    /// What is set for a topic, replacing what was.
    TopicSettings {
        /// Its name.
        name: String,
        /// All of it.
        settings: BTreeMap<String, String>,
    },
    /// What is set for something that is no topic, replacing what was; empty means it is gone.
    Settings {
        /// What kind of thing.
        kind: SettingsOf,
        /// Its name; empty for the cluster-wide default.
        name: String,
        /// All of it.
        settings: BTreeMap<String, String>,
    },
    /// Producer ids below this may have been given out.
    ProducerIds {
        /// The first that has not.
        below: i64,
    },
}

/// What besides topics has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingsOf {
    /// A broker, or all of them.
    Broker,
    /// A telemetry subscription.
    ClientMetrics,
    /// A consumer group.
    Group,
    /// A user or client id with quotas, named by [`crate::quota::Entity::key`].
    Quota,
}
