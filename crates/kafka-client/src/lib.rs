//! Connections to Kafka brokers, and the administrative calls that the platform makes.
//!
//! [`Admin`] is what `control` and `operator` use: topics, configuration, offsets, groups. It is a cheap handle over
//! connections that it opens when it needs them and replaces when they break; it never retries a call by itself,
//! because its callers are retried jobs and only they know whether an operation may be repeated.
//! [`Connection`] is one connection, with typed calls of any API, for tools and tests.
//!
//! It deliberately is no producer and no consumer: it batches nothing, balances nothing and keeps no offsets. It
//! does not know who asks, nor any names that tenants give topics.
//!
//! Start with [`Admin::connect`]; how a connection works is in `connection.rs`.

mod admin;
mod config;
mod connection;
mod error;
mod tls;

pub use admin::Admin;
pub use admin::cluster::{Broker, Cluster};
pub use admin::configs::{Alteration, ConfigEntry, ConfigSource, Resource};
pub use admin::groups::{Group, GroupListing, GroupOffset, Member};
pub use admin::offsets::{OffsetAt, PartitionOffset};
pub use admin::records::{Acks, Fetched};
pub use admin::topics::{NewTopic, Partition, Topic};
pub use config::{Config, Tls};
pub use connection::Connection;
pub use error::{Error, Refusal};

#[cfg(test)]
mod tests;
