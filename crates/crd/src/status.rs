//! What the operator says about a cluster, as an object. Nothing is decided from it: it may be lost or edited by hand,
//! and is then written anew.

#![expect(
    unreachable_pub,
    reason = "the schema derive makes a public copy of each type in a module of its own"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What was seen of a cluster, and what is being done about it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterStatus {
    /// The `metadata.generation` that this describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The generation of the intent that this describes: `spec.intent.generation`, or `metadata.generation` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_generation: Option<i64>,

    /// The cluster's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,

    /// When this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub at: Option<String>,

    /// Ready, Progressing and Degraded.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,

    /// Ready and wanted brokers, for instance `3/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_brokers: Option<String>,

    /// Where clients can start, from outside and from inside: `host:port`, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<String>,

    /// The brokers.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".to_owned()]))]
    pub brokers: Vec<Broker>,

    /// What a change waits for.
    #[serde(default)]
    pub waiting: Vec<Waiting>,

    /// Certificate (PEM) of the authority that signed the brokers' certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_ca: Option<String>,

    /// The secret with all that a client needs (`KAFKA_URL` and its certificates), where the operator makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,

    /// Everything is gone, data included.
    #[serde(default)]
    pub removed: bool,
}

/// One statement about the cluster.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about: Ready, Progressing or Degraded.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: Truth,
    /// Why, as a code.
    pub reason: String,
    /// Why, as a sentence.
    #[serde(default)]
    pub message: String,
    /// Since when the status is as it is.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// The `metadata.generation` that it describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Three-valued: what could not be seen is not false.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It could not be seen.
    Unknown,
}

/// One broker, as last seen.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// Whether clients can use it.
    pub ready: Truth,
    /// Why it is as it is, as a code.
    pub reason: String,
    /// The same as a sentence.
    #[serde(default)]
    pub message: String,
    /// Where clients reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// How often it was started again after it had ended by itself.
    #[serde(default)]
    pub restarts: i64,
}

/// An address of a broker.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// A host name or an IP literal.
    pub host: String,
    /// A TCP port.
    pub port: i32,
}

/// What holds a change up.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The node id of the broker that is waited for, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<i32>,
    /// Why, as a code.
    pub reason: String,
    /// Why, as a sentence.
    #[serde(default)]
    pub message: String,
    /// Since when.
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
}
