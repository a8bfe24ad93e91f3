//! Plans: what can be asked for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One entry of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// The name to ask for.
    pub name: String,
    /// What kind of cluster it gives: `dev`, `basic`, `standard` or `extended`.
    pub family: String,
    /// Brokers of the cluster.
    pub brokers: u16,
    /// Price a month in cents of a US dollar; 0 is free.
    pub price_cents: u32,
    /// What it allows.
    pub limits: Limits,
    /// What a topic gets when its creator names nothing.
    pub topic_defaults: TopicDefaults,
}

/// What a plan allows in one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// Topics, internal ones not counted.
    pub max_topics: u32,
    /// Partitions times replication factor, over all topics.
    pub max_partition_replicas: u32,
    /// Partitions of one topic.
    pub max_partitions_per_topic: u32,
    /// Stored bytes over all brokers.
    pub data_size_bytes: u64,
    /// Shortest retention.
    pub min_retention_ms: i64,
    /// Longest retention.
    pub max_retention_ms: i64,
}

/// What a topic gets by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicDefaults {
    /// Partitions.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication_factor: u16,
    /// Retention.
    pub retention_ms: i64,
}
