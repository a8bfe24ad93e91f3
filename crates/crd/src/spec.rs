//! What is wanted of a cluster, as an object.

#![expect(
    unreachable_pub,
    reason = "the schema derive makes a public copy of each type in a module of its own"
)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::status::KafkaClusterStatus;

/// Pools of one cluster. A pool is a make of broker, and nobody buys more makes than this.
pub const MAX_POOLS: u32 = 8;

/// Brokers of one pool: Kafka clusters beyond some hundred brokers are split.
pub const MAX_BROKERS: u32 = 128;

/// Settings of one cluster: Kafka knows some 250.
pub const MAX_SETTINGS: u32 = 256;

/// Client authorities of one cluster: two during a rotation, and some for an organisation that brings its own.
pub const MAX_CLIENT_CAS: u32 = 8;

/// Apache Kafka's protocol, served by brokers that the operator keeps running.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "penstock.dev",
    version = "v1alpha1",
    kind = "KafkaCluster",
    namespaced,
    status = "KafkaClusterStatus",
    derive = "PartialEq",
    shortname = "kc",
    category = "penstock",
    annotation("helm.sh/resource-policy", "keep"),
    doc = "A cluster that speaks Apache Kafka's protocol. Write its spec; the operator answers in its status.",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Brokers", type_ = "string", json_path = ".status.readyBrokers", description = "Ready and wanted"),
    printcolumn(name = "Release", type_ = "string", json_path = ".spec.release"),
    printcolumn(name = "Progressing", type_ = "string", json_path = r#".status.conditions[?(@.type=="Progressing")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Bootstrap", type_ = "string", json_path = ".status.bootstrap", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Progressing")].message"#, priority = 1),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')").message(
        "metadata.name must begin with a letter, hold only lower-case letters, digits and '-', and be at most 40 long: names of pods and services are made from it"
    ),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("size(self.pools) == 1 || self.pools.all(pool, has(pool.brokers))").message(
        "with several pools each must list its node ids in brokers; replicas is for a single pool"
    ),
    validation = Rule::new("has(self.clusterId) == has(oldSelf.clusterId) && (!has(self.clusterId) || self.clusterId == oldSelf.clusterId)").message(
        "clusterId never changes: brokers know their data by it; make another cluster"
    ),
    validation = Rule::new("self.featureLevel >= oldSelf.featureLevel").message(
        "featureLevel never falls: metadata of the higher level is written already"
    ),
    validation = Rule::new("has(self.intent) || !has(oldSelf.intent)").message(
        "intent stays once it is there: the platform publishes this cluster; change it there"
    ),
    validation = Rule::new("!has(self.intent) || !has(oldSelf.intent) || self.intent.generation >= oldSelf.intent.generation").message(
        "intent.generation never falls: a newer intent was published already"
    ),
    validation = Rule::new("self.lifecycle == 'Remove' || oldSelf.lifecycle != 'Remove'").message(
        "lifecycle stays Remove: data is being deleted already"
    )
)]
pub struct KafkaClusterSpec {
    /// The broker release to run, for instance `1.0.0`. The operator knows the image of each release.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[0-9A-Za-z][0-9A-Za-z._+-]*$"))]
    pub release: String,

    /// The level at which the cluster writes its metadata, reached once every broker runs a release that knows it.
    #[serde(default = "first_level")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub feature_level: i32,

    /// The brokers, by make.
    #[serde(default = "one_pool")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[schemars(length(min = 1, max = MAX_POOLS))]
    pub pools: Vec<Pool>,

    /// Ways in for clients. The operator offers exactly one: TLS with client certificates, at the IPv4 address of each
    /// broker's node, on a port of its own (a NodePort service). Load balancers are not made.
    #[serde(default = "one_listener")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[schemars(length(min = 1, max = 4))]
    pub listeners: Vec<Listener>,

    /// Certificates (PEM) of authorities whose signature on a client certificate is accepted. Without any, the operator
    /// keeps an authority of its own and puts a client certificate into the secret that `status.clientSecret` names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_CLIENT_CAS), inner(length(min = 1, max = 16_384)))]
    pub client_cas: Vec<String>,

    /// Broker settings by Kafka's names, for instance `num.partitions: "8"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MAX_SETTINGS))]
    #[x_kube(
        validation = Rule::new("!self.exists(key, key in ['node.id', 'broker.id', 'cluster.id', 'log.dirs', 'log.dir', 'listeners', 'advertised.listeners', 'ssl.keystore.location', 'ssl.truststore.location', 'ssl.client.auth', 'penstock.admin.listener', 'penstock.instance'])").message(
            "ids, directories, addresses and certificates are the operator's to set; leave these settings out of config"
        )
    )]
    pub config: BTreeMap<String, Setting>,

    /// What is to become of the cluster: Run it and heal it, Pause (leave everything as it is), Stop (end the brokers,
    /// keep the data), Remove (end the brokers, delete the data, keep this object).
    #[serde(default)]
    pub lifecycle: Lifecycle,

    /// What becomes of the data when this object is deleted. Retain keeps the claims, and the secrets with the authorities
    /// (NAME-cluster-ca-…, NAME-clients-ca-…): an object of the same name, in the same namespace and with this one's id as
    /// its `clusterId` takes them up again, so that clients go on with their addresses and certificates. Delete deletes
    /// all of it.
    #[serde(default)]
    pub deletion: Deletion,

    /// The cluster's id, a UUID. Without one, it is this object's uid, and `status.clusterId` tells it. Name the id of a
    /// cluster that was deleted to take up its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 36, max = 36), regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub cluster_id: Option<String>,

    /// Set by the platform that publishes this cluster; leave it out when you write the object yourself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentRef>,
}

/// The value of a setting: one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Setting(pub String);

impl schemars::JsonSchema for Setting {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Setting".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // A second line would be a setting of its own in the broker's file.
        schemars::json_schema!({ "type": "string", "maxLength": 4096, "pattern": "^[^\r\n]*$" })
    }
}

/// Brokers of one make.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.replicas) && has(self.brokers))").message(
    "give either replicas (node ids are counted from 0) or brokers (the node ids themselves), not both"
))]
pub struct Pool {
    /// Unique in the cluster.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// How many brokers; their node ids are counted from 0. One without this and without `brokers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_BROKERS))]
    pub replicas: Option<i32>,

    /// The node ids of the brokers. An id is never used for another broker's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(min = 1, max = MAX_BROKERS), inner(range(min = 0, max = 1_000_000)))]
    pub brokers: Option<Vec<i32>>,

    /// Storage of each broker.
    #[serde(default)]
    pub storage: Storage,

    /// CPU and memory of each broker. A change restarts the brokers, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// Storage of one broker.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0").message(
        "storage only grows: a claim cannot be made smaller; make a pool with less storage instead"
    ),
    validation = Rule::new("has(self.class) == has(oldSelf.class) && (!has(self.class) || self.class == oldSelf.class)").message(
        "the storage class of a pool never changes: its claims exist already; make another pool"
    )
)]
pub struct Storage {
    /// How much, for instance `10Gi`. It can grow later and never shrinks.
    #[serde(default = "small")]
    #[schemars(length(min = 1, max = 20), regex(pattern = "^[1-9][0-9]*([KMGTP]i|[kMGTP])?$"))]
    pub size: String,

    /// The storage class; the cluster's default one without this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class: Option<String>,
}

impl Default for Storage {
    fn default() -> Storage {
        Storage { size: small(), class: None }
    }
}

/// CPU and memory of one broker, in Kubernetes' words.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is set aside, for instance `cpu: 100m`, `memory: 128Mi`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub requests: BTreeMap<String, Amount>,

    /// What is not to be exceeded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub limits: BTreeMap<String, Amount>,
}

/// An amount of CPU or memory, for instance `100m` or `128Mi`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub String);

impl schemars::JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "maxLength": 32,
            "pattern": "^[0-9]+(\\.[0-9]+)?([KMGTPE]i|[numkMGTPE])?$"
        })
    }
}

/// A way in for clients.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Kafka's listener name.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[A-Z][A-Z0-9_]*$"))]
    pub name: String,
    /// Who may connect.
    #[serde(default)]
    pub security: Security,
}

/// Who may connect.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Security {
    /// TLS with a client certificate.
    #[default]
    MutualTls,
}

/// What is to become of a cluster.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifecycle {
    /// Keep it running and heal it.
    #[default]
    Run,
    /// Leave everything as it is.
    Pause,
    /// End the brokers, keep the data.
    Stop,
    /// End the brokers, delete the data.
    Remove,
}

/// What becomes of the data of a deleted object.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deletion {
    /// Claims and authorities stay. A cluster with the same `clusterId` and name takes them up again.
    #[default]
    Retain,
    /// Claims and authorities go with the object.
    Delete,
}

/// Which of the platform's intents an object carries.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntentRef {
    /// Counts the intents of the cluster.
    #[schemars(range(min = 1))]
    pub generation: i64,
    /// The one before, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub parent: Option<i64>,
}

fn first_level() -> i32 {
    1
}

fn small() -> String {
    "1Gi".to_owned()
}

/// The pool of a cluster that names none.
fn one_pool() -> Vec<Pool> {
    vec![Pool {
        name: "brokers".to_owned(),
        replicas: Some(1),
        brokers: None,
        storage: Storage::default(),
        resources: None,
    }]
}

/// The way in of a cluster that names none.
fn one_listener() -> Vec<Listener> {
    vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }]
}
