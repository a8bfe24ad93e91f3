//! What has settings, in Kafka's numbers.

/// A topic.
pub(super) const TOPIC: i8 = 2;
/// A broker.
pub(super) const BROKER: i8 = 4;
/// A telemetry subscription.
pub(super) const CLIENT_METRICS: i8 = 16;
/// A consumer group.
pub(super) const GROUP: i8 = 32;
