//! Topics of a resource.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Where a topic is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TopicState)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Accepted; the brokers have not made it yet, and it has no partitions.
    Creating,
    /// Clients can use it.
    Ready,
    /// It is being removed with its records.
    Deleting,
    /// The brokers refused what was asked for; the message says why.
    Failed,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// More about the state, where there is more to say.
    pub message: Option<String>,
    /// Partitions; 0 until it is ready.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication_factor: u16,
    /// How long records are kept; none = without end.
    pub retention_ms: Option<i64>,
    /// Whether of each key only the latest record is kept.
    pub compaction: bool,
    /// Whether Kafka made it for itself.
    pub internal: bool,
}

/// What is needed to make a topic. What is left out is the plan's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTopic {
    /// ASCII letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// Replicas of each partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<u16>,
    /// How long records are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_ms: Option<i64>,
    /// Whether of each key only the latest record is kept.
    #[serde(default)]
    pub compaction: bool,
}

/// A change of a topic. What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicChange {
    /// How long records are kept; `null` = without end.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    pub retention_ms: Option<Option<i64>>,
    /// Whether of each key only the latest record is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compaction: Option<bool>,
    /// Replicas of each partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<u16>,
}

/// Keeps a `null` apart from a field that is absent: serde calls this only when the field is there.
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(input).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> TopicChange {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_null_retention_is_not_an_absent_one() {
        assert_eq!(change("{}").retention_ms, None);
        assert_eq!(change(r#"{"retention_ms":null}"#).retention_ms, Some(None));
        assert_eq!(change(r#"{"retention_ms":5}"#).retention_ms, Some(Some(5)));
        assert_eq!(
            serde_json::to_string(&change(r#"{"retention_ms":null}"#)).unwrap(),
            r#"{"retention_ms":null}"#
        );
        assert_eq!(serde_json::to_string(&change("{}")).unwrap(), "{}");
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let error = serde_json::from_str::<NewTopic>(r#"{"name":"a","partition":3}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `partition`"), "{error}");
    }
}
