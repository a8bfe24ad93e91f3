//! What was seen of a cluster: a dated observation that also says what could not be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::certificate::Validity;
use crate::condition::Reason;
use crate::id::BrokerId;
use crate::status::Endpoint;
use crate::time::Timestamp;

/// Something that could not be read. Whoever decides treats it as unknown, never as absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The broker that it concerns; none when it concerns the whole cluster.
    pub broker: Option<BrokerId>,
    /// What could not be read and why, as a sentence.
    pub what: String,
}

/// Where a broker's process (or pod) is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Process {
    /// Its place (directory, claim) exists, and no process runs in it.
    Absent,
    /// A process runs.
    Running {
        /// Distinguishes this start from every other of the same broker.
        incarnation: String,
        /// When it was started.
        since: Timestamp,
    },
    /// The last process ended and nothing has replaced it.
    Exited {
        /// Which start ended.
        incarnation: String,
        /// When that was noticed.
        at: Timestamp,
        /// What is known of the end.
        exit: Exit,
    },
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It stopped because it was asked to.
    Clean,
    /// It refused its configuration, port or directory, and said why.
    BadConfiguration {
        /// Its own sentence.
        said: String,
    },
    /// It lost its disk.
    LostDisk {
        /// Its own sentence.
        said: String,
    },
    /// It crashed, was killed, or nobody was there to see.
    Crashed {
        /// What is known: a signal, a status, or that nothing is.
        said: String,
    },
}

/// What a running broker says of itself on its admin port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Readiness {
    /// Serves clients.
    Ready,
    /// Checks its logs.
    Recovering {
        /// Logs done.
        done: u64,
        /// Logs in all.
        total: u64,
    },
    /// Says that it serves, but the address that clients are sent to has not led to it since it was started.
    Unreached {
        /// Whether the address refuses connections, which is certain. Otherwise nobody answers there, and that may as
        /// well be a firewall between us and it.
        refused: bool,
    },
    /// Not yet, or no longer.
    NotReady {
        /// Why.
        why: String,
    },
    /// Does not get as far as running, because of something outside of it: its image is missing, no node has room. It
    /// says nothing itself; this is known from whoever should have started it.
    Held {
        /// Why, as a code.
        reason: Reason,
        /// Why, as a sentence.
        why: String,
    },
    /// Could not be asked, or did not answer in time.
    Unknown,
}

/// One broker as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerSeen {
    /// Its process.
    pub process: Process,
    /// What it says of itself.
    pub readiness: Readiness,
    /// Fingerprint of the [`BrokerSpec`](crate::action::BrokerSpec) that it was made from.
    pub spec: Option<String>,
    /// Where clients reach it.
    pub endpoint: Option<Endpoint>,
    /// When the certificate is valid with which its process was started; none if that is not known.
    pub certificate: Option<Validity>,
}

/// One look at one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// Every broker of which there is a trace: a process, a directory, a claim.
    pub brokers: BTreeMap<BrokerId, BrokerSeen>,
    /// Certificate (PEM) of the CA that signs the brokers' certificates, once it exists.
    pub cluster_ca: Option<String>,
    /// Whether anything of the cluster beyond its brokers is still there (its CA, its directory).
    pub remains: bool,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

impl Observed {
    /// A look that showed nothing at all.
    #[must_use]
    pub fn blind(at: Timestamp, what: impl Into<String>) -> Observed {
        let gap = Gap { broker: None, what: what.into() };
        Observed { at, brokers: BTreeMap::new(), cluster_ca: None, remains: true, gaps: vec![gap] }
    }
}
