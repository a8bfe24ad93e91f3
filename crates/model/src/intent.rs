//! What is wanted of a cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{BrokerId, ClusterId};
use crate::size::Bytes;
use crate::version::{FeatureLevel, Generation, Release};

/// What is to become of the cluster as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    /// Keep it running and heal it.
    Run,
    /// Leave everything as it is; not even heal.
    Pause,
    /// Stop the brokers, keep the data.
    Stop,
    /// Stop the brokers and delete everything, data included.
    Remove,
}

/// Brokers of one make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Unique within the cluster, for instance `brokers`.
    pub name: String,
    /// The node ids of its brokers, chosen by the fleet's planner and never used twice in a cluster.
    pub brokers: Vec<BrokerId>,
    /// Storage of each broker.
    pub storage: Bytes,
}

/// Who may connect where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// TLS with a client certificate signed by one of the intent's client CAs.
    MutualTls,
}

/// A way in for clients. Ports and addresses are the substrate's to choose; the status tells them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Kafka's listener name, for instance `SSL`.
    pub name: String,
    /// Who may connect.
    pub security: Security,
}

/// How a change may be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutPolicy {
    /// Voluntary disruptions at one time. One is the only value that the planner accepts today.
    pub max_unavailable: u16,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        RolloutPolicy { max_unavailable: 1 }
    }
}

/// Everything that is wanted of one cluster at one generation. Immutable: a change is a new intent with the next
/// generation that names this one as its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIntent {
    /// Which cluster.
    pub cluster: ClusterId,
    /// Which of its intents.
    pub generation: Generation,
    /// The intent that this one replaces; none for the first.
    pub parent: Option<Generation>,
    /// A name for people, directories and Kubernetes objects: lower-case letters, digits and `-`, at most 40 long.
    pub name: String,
    /// The broker release to run.
    pub release: Release,
    /// The feature level to reach once all brokers run the release.
    pub feature_level: FeatureLevel,
    /// The brokers.
    pub pools: Vec<Pool>,
    /// Ways in for clients.
    pub listeners: Vec<Listener>,
    /// Certificates (PEM) whose signature on a client certificate is accepted. Two during a rotation.
    pub client_cas: Vec<String>,
    /// Kafka's broker configuration names and their values.
    pub config: BTreeMap<String, String>,
    /// How a change may be carried out.
    pub rollout: RolloutPolicy,
    /// What is to become of the cluster as a whole.
    pub lifecycle: Lifecycle,
}

impl ClusterIntent {
    /// The node ids of all brokers that are wanted, in order.
    pub fn brokers(&self) -> impl Iterator<Item = (BrokerId, &Pool)> {
        self.pools.iter().flat_map(|pool| pool.brokers.iter().map(move |id| (*id, pool)))
    }
}
