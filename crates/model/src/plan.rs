//! Plans: what an add-on of a given name promises. Plans are data; this module holds the catalogue that a new
//! platform starts with, and the platform's Postgres holds the one in force.

use serde::{Deserialize, Serialize};

use crate::size::Bytes;

/// What kind of cluster a plan gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// One broker of its own, for development and tests; promises no availability.
    Dev,
    /// A tenant on a shared cluster.
    Basic,
    /// A cluster of three brokers of its own.
    Standard,
    /// A cluster of eight brokers of its own.
    Extended,
}

/// What a plan allows in one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Topics, internal ones not counted.
    pub max_topics: u32,
    /// Partitions times replication factor, over all topics.
    pub max_partition_replicas: u32,
    /// Partitions of one topic.
    pub max_partitions_per_topic: u32,
    /// Stored bytes over all brokers.
    pub data_size: Bytes,
    /// Shortest retention that may be asked for, in milliseconds.
    pub min_retention_ms: i64,
    /// Longest retention that may be asked for, in milliseconds.
    pub max_retention_ms: i64,
}

/// What a topic gets when its creator names nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDefaults {
    /// Partitions of a new topic.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication_factor: u16,
    /// Retention in milliseconds.
    pub retention_ms: i64,
}

/// One entry of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The name without the add-on slug, for instance `standard-0`.
    pub name: String,
    /// What kind of cluster it gives.
    pub family: Family,
    /// Brokers of the cluster.
    pub brokers: u16,
    /// What it allows.
    pub limits: Limits,
    /// What a topic gets by default.
    pub topic_defaults: TopicDefaults,
    /// Price a month in cents of a US dollar; 0 = free.
    pub price_cents: u32,
}

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The plans that a new platform offers. A plan is listed only when the platform can provision it.
#[must_use]
pub fn catalogue() -> Vec<Plan> {
    vec![Plan {
        name: "dev".to_owned(),
        family: Family::Dev,
        brokers: 1,
        limits: Limits {
            max_topics: 100,
            max_partition_replicas: 1_000,
            max_partitions_per_topic: 256,
            data_size: Bytes::gib(4),
            min_retention_ms: HOUR_MS,
            max_retention_ms: 14 * DAY_MS,
        },
        topic_defaults: TopicDefaults { partitions: 8, replication_factor: 1, retention_ms: DAY_MS },
        price_cents: 0,
    }]
}
