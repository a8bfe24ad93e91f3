//! What lies where on disk.
//!
//! ```text
//! DIR/clusters/.lock                     held by the one server that uses DIR
//! DIR/clusters/<cluster id>/
//!   intent.json                          what is wanted (the dispatch's; everything else is the substrate's)
//!   ca/ca.pem  ca/ca.key                 the cluster's own authority; the key never leaves this directory
//!   brokers/<node id>/
//!     process.json                       what was started, as what, and how it ended
//!     ports.json                         chosen once
//!     server.properties  node.pem  clients-ca.pem
//!     data/                              the broker's own
//!     broker.log  broker.log.1           what it printed
//!   brokers/.removing-<node id>          being deleted
//! ```

use std::path::{Path, PathBuf};
use std::str::FromStr;

use model::certificate::Validity;
use model::observed::Exit;
use model::{BrokerId, ClusterId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::files;

/// The name of the intent's file in a cluster's directory.
pub(crate) const INTENT: &str = "intent.json";

/// All clusters.
#[derive(Clone, Debug)]
pub(crate) struct Root(PathBuf);

impl Root {
    pub(crate) fn new(dir: &Path) -> Root {
        Root(dir.join("clusters"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join(".lock")
    }

    pub(crate) fn cluster(&self, id: ClusterId) -> ClusterDir {
        ClusterDir(self.0.join(id.to_string()))
    }

    /// The clusters of which there is a directory.
    pub(crate) fn clusters(&self) -> std::io::Result<Vec<ClusterId>> {
        Ok(files::names_in(&self.0)?.iter().filter_map(|name| ClusterId::from_str(name).ok()).collect())
    }
}

/// One cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterDir(PathBuf);

impl ClusterDir {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn intent(&self) -> PathBuf {
        self.0.join(INTENT)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.0.join("ca")
    }

    pub(crate) fn brokers(&self) -> PathBuf {
        self.0.join("brokers")
    }

    pub(crate) fn broker(&self, id: BrokerId) -> BrokerDir {
        BrokerDir(self.brokers().join(id.to_string()))
    }

    /// Where a broker's directory goes to be deleted: at once out of sight, and gone whole or not at all.
    pub(crate) fn removing(&self, id: BrokerId) -> PathBuf {
        self.brokers().join(format!(".removing-{id}"))
    }

    /// The brokers of which there is a directory.
    pub(crate) fn broker_ids(&self) -> std::io::Result<Vec<BrokerId>> {
        let names = files::names_in(&self.brokers())?;
        let mut ids: Vec<BrokerId> =
            names.iter().filter_map(|name| name.parse().ok().map(BrokerId)).collect();
        ids.sort();
        Ok(ids)
    }
}

/// One broker.
#[derive(Clone, Debug)]
pub(crate) struct BrokerDir(PathBuf);

impl BrokerDir {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.0.join("process.json")
    }

    pub(crate) fn ports(&self) -> PathBuf {
        self.0.join("ports.json")
    }

    pub(crate) fn properties(&self) -> PathBuf {
        self.0.join("server.properties")
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.0.join("node.pem")
    }

    pub(crate) fn client_cas(&self) -> PathBuf {
        self.0.join("clients-ca.pem")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("broker.log")
    }

    pub(crate) fn older_log(&self) -> PathBuf {
        self.0.join("broker.log.1")
    }
}

/// The content of `process.json`: the newest start of a broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Names this start; the broker tells it as `instance`.
    pub(crate) incarnation: String,
    /// Fingerprint of the specification that it was made from.
    pub(crate) spec: String,
    /// When it was started.
    pub(crate) started_at: Timestamp,
    /// When its certificate is valid; none if an older release of ours started it.
    #[serde(default)]
    pub(crate) certificate: Option<Validity>,
    /// How long its log was at that moment: what it said itself comes after.
    pub(crate) log_offset: u64,
    /// The process; none while it is being started, so a server that dies in that instant leaves a trace.
    pub(crate) process: Option<ProcessId>,
    /// Whether it was asked to stop.
    #[serde(default)]
    pub(crate) asked_to_stop: bool,
    /// How it ended, once it has.
    #[serde(default)]
    pub(crate) ended: Option<Ended>,
}

/// A process that no other can be taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// The system's number, which is used again.
    pub(crate) pid: i32,
    /// When the kernel started it, in clock ticks since the machine was started.
    pub(crate) start_ticks: u64,
    /// Which run of the machine that was.
    pub(crate) boot_id: String,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) at: Timestamp,
    pub(crate) exit: Exit,
}

/// The content of `ports.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// For clients.
    pub(crate) client: u16,
    /// For us: readiness and status.
    pub(crate) admin: u16,
}
