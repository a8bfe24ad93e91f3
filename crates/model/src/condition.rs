//! Conditions and the closed list of reasons. The same reason code appears in a cluster's status, on the page of an
//! operation, in the CLI's `wait`, in a custom resource's conditions and as a metric label.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What a condition is about, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Clients can use the cluster.
    Ready,
    /// Something is being changed.
    Progressing,
    /// The cluster works less well than it was asked to.
    Degraded,
}

/// Three-valued on purpose: what could not be seen is not false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It could not be seen.
    Unknown,
}

/// Why a condition has its value. Closed: a new reason is a new variant with its sentence in [`Reason::meaning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Every broker of the current generation answers and is ready.
    AllBrokersReady,
    /// Brokers are being created for the first time.
    Creating,
    /// A broker was started and has not said that it is ready.
    BrokerStarting,
    /// A broker checks its logs after an unclean stop.
    BrokerRecovering,
    /// A broker's process or pod is gone and will be started again.
    BrokerDown,
    /// A broker stops again and again soon after its start; the next try waits.
    CrashLoop,
    /// The broker refused its configuration or could not take its port or directory; trying again will not help
    /// until that is changed.
    BadConfiguration,
    /// A broker has lost its disk.
    StorageFailed,
    /// A running broker differs from what is wanted and is being restarted.
    Restarting,
    /// Nothing could be seen of a broker for a while.
    Unreachable,
    /// A broker serves, but the address that clients are sent to refuses connections.
    AddressRefused,
    /// The binary or image of the wanted release is not there.
    ReleaseMissing,
    /// No machine has room for a broker, or its storage cannot be provided.
    Unschedulable,
    /// The cluster is being removed.
    Removing,
    /// The cluster and its data are gone.
    Removed,
    /// Asked to stay as it is.
    Paused,
    /// Asked to be stopped, with its data kept.
    Stopped,
}

impl Reason {
    /// What a person reads when there is no more precise message.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Reason::AllBrokersReady => "all brokers are ready",
            Reason::Creating => "brokers are being created",
            Reason::BrokerStarting => "a broker is starting",
            Reason::BrokerRecovering => "a broker checks its logs after an unclean stop",
            Reason::BrokerDown => "a broker is down and will be started again",
            Reason::CrashLoop => "a broker stops soon after each start; the next try waits",
            Reason::BadConfiguration => "a broker refused its configuration, its port or its directory",
            Reason::StorageFailed => "a broker has lost its disk",
            Reason::Restarting => "a broker is being restarted to take up a change",
            Reason::Unreachable => "a broker has not been seen for a while",
            Reason::AddressRefused => "the address that clients are sent to refuses connections",
            Reason::ReleaseMissing => "the broker release that is wanted is not installed",
            Reason::Unschedulable => "no machine has room for a broker, or its storage cannot be provided",
            Reason::Removing => "the cluster is being removed",
            Reason::Removed => "the cluster and its data are gone",
            Reason::Paused => "the cluster is paused: nothing is changed until it is resumed",
            Reason::Stopped => "the cluster is stopped; its data is kept",
        }
    }
}

/// One statement about a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about.
    pub kind: Kind,
    /// Whether it holds.
    pub status: Truth,
    /// Why, as a code.
    pub reason: Reason,
    /// Why, as a sentence with names and numbers.
    pub message: String,
    /// Since when the status (not the message) is as it is.
    pub since: Timestamp,
}
