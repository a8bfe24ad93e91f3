//! What can be done to a cluster. An action is complete in itself: whoever performs it needs nothing else, and
//! performing it twice does no more than performing it once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{BrokerId, ClusterId};
use crate::intent::Listener;
use crate::size::Bytes;
use crate::version::Release;

/// Everything a substrate must know to make one broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerSpec {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// The cluster's name for people.
    pub cluster_name: String,
    /// Its node id.
    pub broker: BrokerId,
    /// Its pool.
    pub pool: String,
    /// The release to run.
    pub release: Release,
    /// Its storage.
    pub storage: Bytes,
    /// Ways in for clients.
    pub listeners: Vec<Listener>,
    /// Certificates (PEM) whose signature on a client certificate is accepted.
    pub client_cas: Vec<String>,
    /// Kafka's broker configuration names and their values.
    pub config: BTreeMap<String, String>,
}

/// Why a running broker is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RestartReason {
    /// Its specification changed.
    SpecChanged,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Make the broker's place from the specification and start it; also starts again one whose process ended.
    Start(BrokerSpec),
    /// Stop the running process gently, then start it from the specification. `incarnation` is the one that was seen:
    /// a broker that was meanwhile replaced is left alone.
    Restart {
        /// The specification to start from.
        spec: BrokerSpec,
        /// The start that is to be ended.
        incarnation: String,
        /// Why.
        why: Vec<RestartReason>,
    },
    /// Stop the running process gently and keep its data.
    Stop {
        /// Whom.
        broker: BrokerId,
        /// The start that is to be ended.
        incarnation: String,
    },
    /// Delete the broker's place, data included. Its process must have ended.
    RemoveBroker {
        /// Whom.
        broker: BrokerId,
    },
    /// Delete what is left of the cluster when its brokers are gone.
    RemoveRest,
}
