//! What the agent next to the brokers says about a cluster. The platform stores it and shows it; it decides nothing.

use serde::{Deserialize, Serialize};

use crate::condition::{Condition, Kind, Reason, Truth};
use crate::id::{BrokerId, ClusterId};
use crate::time::Timestamp;
use crate::version::Generation;

/// An address that clients can connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// A host name or an IP literal.
    pub host: String,
    /// A TCP port.
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What holds a change up: on whom, why, and since when. It is replaced when it changes, never appended to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The broker that is waited for, if it is one.
    pub broker: Option<BrokerId>,
    /// Why, as a code.
    pub reason: Reason,
    /// Why, as a sentence, with what ends the wait.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// One broker, as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerStatus {
    /// Its node id.
    pub id: BrokerId,
    /// Whether clients can use it.
    pub ready: Truth,
    /// Why it is as it is.
    pub reason: Reason,
    /// The same as a sentence.
    pub message: String,
    /// Where clients reach it, once known.
    pub endpoint: Option<Endpoint>,
    /// How often it was started again after it had ended by itself.
    pub restarts: u32,
}

/// All that is said about a cluster at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The generation of the intent that this describes.
    pub observed_generation: Generation,
    /// When it was seen.
    pub at: Timestamp,
    /// Ready, Progressing and Degraded, each at most once.
    pub conditions: Vec<Condition>,
    /// Every broker that is wanted or still there.
    pub brokers: Vec<BrokerStatus>,
    /// What a change waits for.
    pub waiting: Vec<Waiting>,
    /// Certificate (PEM) of the CA that signed the brokers' certificates; clients pin it.
    pub cluster_ca: Option<String>,
    /// Everything is gone, data included: nobody needs to follow this cluster any more.
    pub removed: bool,
}

impl ClusterStatus {
    /// The status of a cluster whose intent got lost on the agents' side, for instance because somebody deleted the
    /// object that carried it. It says nothing about brokers; the platform answers by publishing the intent again.
    #[must_use]
    pub fn follows_nothing(cluster: ClusterId, at: Timestamp) -> ClusterStatus {
        ClusterStatus {
            cluster,
            observed_generation: Generation::NONE,
            at,
            conditions: Vec::new(),
            brokers: Vec::new(),
            waiting: Vec::new(),
            cluster_ca: None,
            removed: false,
        }
    }

    /// Whether it only says that no intent is followed.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.observed_generation < Generation::FIRST
    }

    /// The condition of a kind, if it was stated.
    #[must_use]
    pub fn condition(&self, kind: Kind) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether everything that the given generation asks for is so: every wanted broker runs what it asks for and is
    /// ready, or all are stopped, or everything is removed. What an operation waits for.
    #[must_use]
    pub fn has_reached(&self, generation: Generation) -> bool {
        self.observed_generation >= generation
            && self.condition(Kind::Progressing).is_some_and(|progressing| {
                progressing.status == Truth::False
                    && matches!(
                        progressing.reason,
                        Reason::AllBrokersReady | Reason::Stopped | Reason::Removed | Reason::Paused
                    )
            })
    }

    /// Whether clients can use the cluster, at the given generation or a later one. It says nothing about a change
    /// that is still under way: see [`ClusterStatus::has_reached`].
    #[must_use]
    pub fn is_ready(&self, generation: Generation) -> bool {
        self.observed_generation >= generation
            && self.condition(Kind::Ready).is_some_and(|ready| ready.status == Truth::True)
    }

    /// Where clients can start, in the order of the brokers.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<Endpoint> {
        self.brokers.iter().filter_map(|broker| broker.endpoint.clone()).collect()
    }
}
