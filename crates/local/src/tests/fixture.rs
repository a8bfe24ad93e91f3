//! A server's worth of clusters in a directory of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::Dispatch;
use futures_util::StreamExt;
use model::condition::{Kind, Truth};
use model::intent::{Listener, Pool, RolloutPolicy, Security};
use model::version::{FeatureLevel, Release};
use model::{BrokerId, ClusterId, ClusterIntent, ClusterStatus, Generation, Lifecycle};
use tempfile::TempDir;
use uuid::Uuid;

use super::fake;
use crate::layout::Record;
use crate::substrate::OpenError;
use crate::{Config, InProcess, Local, procfs};

/// Long enough for a machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Server {
    pub(super) home: Home,
    /// What is started as release 1.
    binary: PathBuf,
    pub(super) local: Local,
    pub(super) dispatch: InProcess,
}

/// A directory that takes its processes with it, also when a test fails.
pub(super) struct Home(TempDir);

impl Home {
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let dir = self.path().canonicalize().unwrap();
        for pid in procfs::started_with_config_below(&dir).unwrap().into_values() {
            kill(pid);
        }
    }
}

pub(super) fn config(dir: &Path, binary: PathBuf) -> Config {
    Config {
        dir: dir.to_owned(),
        releases: BTreeMap::from([(Release("1".to_owned()), binary)]),
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// Takes the directory. Tests of this program run side by side, and a child that one of them has just forked holds
/// copies of all locks until it executes its program: the lock of a server that has gone may be free a moment later.
fn open(dir: &Path, binary: &Path) -> Local {
    for _ in 0..LOCK_TRIES {
        match Local::open(config(dir, binary.to_owned())) {
            Err(OpenError::InUse { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
    panic!("{} stays locked", dir.display());
}

/// Some hundred milliseconds of tries; a fork takes about one.
const LOCK_TRIES: u32 = 20_000;

impl Server {
    /// A server whose brokers are stand-ins.
    pub(super) fn start() -> Server {
        let home = Home(tempfile::tempdir().unwrap());
        let binary = fake::script(home.path());
        Server::start_in(home, binary)
    }

    /// A server with that broker.
    pub(super) fn start_with(binary: PathBuf) -> Server {
        Server::start_in(Home(tempfile::tempdir().unwrap()), binary)
    }

    fn start_in(home: Home, binary: PathBuf) -> Server {
        let local = open(&home.path().join("platform"), &binary);
        let dispatch = InProcess::resume(local.clone(), agent::Metrics::default()).unwrap();
        Server { home, binary, local, dispatch }
    }

    /// The directory that it was given.
    pub(super) fn dir(&self) -> PathBuf {
        self.home.path().join("platform")
    }

    /// The server goes away without touching its brokers, and another one starts on the same directory.
    pub(super) async fn restart(self) -> Server {
        let Server { home, binary, local, dispatch } = self;
        dispatch.stop().await;
        drop((local, dispatch));
        // Tasks that wait for brokers hold nothing that matters; the lock is what the next one needs.
        Server::start_in(home, binary)
    }

    /// Ends the server with everything it started.
    pub(super) async fn end(self) {
        self.dispatch.stop().await;
        let failed: Vec<String> =
            self.local.stop_all_brokers().await.iter().map(|error| error.sentence()).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }

    pub(super) async fn wait(&self, what: &str, holds: impl Fn(&ClusterStatus) -> bool) -> ClusterStatus {
        let mut last = None;
        let waiting = async {
            let mut statuses = Box::pin(self.dispatch.statuses());
            while let Some(status) = statuses.next().await {
                if holds(&status) {
                    return status;
                }
                last = Some(status);
            }
            unreachable!("statuses never end")
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(status) => status,
            Err(_) => panic!("{what} did not happen; the last status is {last:#?}"),
        }
    }

    pub(super) async fn wait_reached(&self, intent: &ClusterIntent) -> ClusterStatus {
        self.wait("reaching the intent", |status| status.has_reached(intent.generation)).await
    }

    pub(super) fn record(&self, intent: &ClusterIntent, broker: i32) -> Record {
        let path = self.local.root().cluster(intent.cluster).broker(BrokerId(broker)).record();
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    pub(super) fn pid(&self, intent: &ClusterIntent, broker: i32) -> i32 {
        self.record(intent, broker).process.unwrap().pid
    }
}

/// `kill -9`.
pub(super) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

pub(super) fn is_ready(status: &ClusterStatus) -> bool {
    status.condition(Kind::Ready).unwrap().status == Truth::True
}

/// The first intent of a cluster with so many brokers.
pub(super) fn cluster(brokers: i32) -> ClusterIntent {
    ClusterIntent {
        cluster: ClusterId(Uuid::new_v4()),
        generation: Generation::FIRST,
        parent: None,
        name: "orders".to_owned(),
        release: Release("1".to_owned()),
        feature_level: FeatureLevel(1),
        pools: vec![Pool {
            name: "brokers".to_owned(),
            brokers: (0..brokers).map(BrokerId).collect(),
            storage: model::size::Bytes::gib(1),
        }],
        listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
        client_cas: vec!["a certificate\n".to_owned()],
        config: BTreeMap::new(),
        rollout: RolloutPolicy::default(),
        lifecycle: Lifecycle::Run,
    }
}

/// What the stand-in is to do.
pub(super) fn faking(intent: ClusterIntent, words: &str) -> ClusterIntent {
    ClusterIntent { config: BTreeMap::from([("fake".to_owned(), words.to_owned())]), ..intent }
}

/// The intent that follows.
pub(super) fn next(intent: &ClusterIntent) -> ClusterIntent {
    ClusterIntent { generation: intent.generation.next(), parent: Some(intent.generation), ..intent.clone() }
}
