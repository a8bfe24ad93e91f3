//! The dispatch of one machine: published intents are files, and each has a driver in this process.
//!
//! Because the intents are on disk, clusters go on healing while Postgres is down, and after a restart of the server
//! before Postgres is back.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use agent::clock::System;
use agent::{Board, Dispatch, DispatchError, Driver};
use futures_util::Stream;
use model::{ClusterId, ClusterIntent, ClusterStatus};
use thiserror::Error;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::files::{self, Mode};
use crate::layout::ClusterDir;
use crate::substrate::Local;

/// The intents that an earlier server stored could not be read.
#[derive(Debug, Error)]
pub enum ResumeError {
    /// A directory or file.
    #[error("the stored intent of cluster {cluster} could not be read")]
    Read {
        /// Which cluster.
        cluster: ClusterId,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The directory of all clusters.
    #[error("the stored intents could not be listed")]
    List(#[source] io::Error),
}

/// The dispatch. A cheap handle; clones are the same.
#[derive(Clone, Debug)]
pub struct InProcess {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    local: Local,
    board: Board,
    /// Held while an intent is stored, so that two of one cluster cannot overtake each other.
    agents: Mutex<BTreeMap<ClusterId, Agent>>,
}

/// A driver at work.
#[derive(Debug)]
struct Agent {
    intents: watch::Sender<ClusterIntent>,
    driver: JoinHandle<()>,
}

impl InProcess {
    /// Takes up every cluster whose intent was stored.
    pub fn resume(local: Local) -> Result<InProcess, ResumeError> {
        let board = Board::default();
        let mut agents = BTreeMap::new();
        for cluster in local.root().clusters().map_err(ResumeError::List)? {
            let path = local.root().cluster(cluster).intent();
            let read = |source| ResumeError::Read { cluster, source };
            let Some(text) = files::read_if_there(&path).map_err(read)? else { continue };
            let intent: ClusterIntent = serde_json::from_str(&text).map_err(|error| read(error.into()))?;
            agents.insert(cluster, Agent::start(&local, &board, intent));
        }
        tracing::info!(clusters = agents.len(), "took up {} clusters", agents.len());
        Ok(InProcess { inner: Arc::new(Inner { local, board, agents: Mutex::new(agents) }) })
    }

    /// The newest status of every cluster, and changes to come.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.inner.board
    }

    /// Ends all drivers. Brokers go on; the next server takes them up.
    pub async fn stop(&self) {
        let agents = std::mem::take(&mut *self.inner.agents.lock().await);
        for agent in agents.into_values() {
            agent.stop().await;
        }
    }

    fn dir(&self, cluster: ClusterId) -> ClusterDir {
        self.inner.local.root().cluster(cluster)
    }
}

impl Agent {
    fn start(local: &Local, board: &Board, intent: ClusterIntent) -> Agent {
        let cluster = intent.cluster;
        let (intents, receiver) = watch::channel(intent);
        let driver = Driver { substrate: local.clone(), clock: System, cluster, intents: receiver };
        let board = board.clone();
        let driver = tokio::spawn(driver.run(move |status| board.post(status)));
        Agent { intents, driver }
    }

    async fn stop(self) {
        drop(self.intents);
        if let Err(error) = self.driver.await {
            tracing::error!("the driver of a cluster failed: {error}");
        }
    }
}

impl Dispatch for InProcess {
    async fn publish(&self, intent: &ClusterIntent) -> Result<(), DispatchError> {
        let cluster = intent.cluster;
        let mut agents = self.inner.agents.lock().await;
        if let Some(agent) = agents.get(&cluster) {
            let current = agent.intents.borrow();
            if intent.generation < current.generation {
                let (current, offered) = (current.generation, intent.generation);
                return Err(DispatchError::Superseded { cluster, current, offered });
            }
            if intent.generation == current.generation {
                return match *intent == *current {
                    true => Ok(()),
                    false => Err(DispatchError::Different { cluster, generation: intent.generation }),
                };
            }
        }
        let dir = self.dir(cluster);
        store(&dir, intent).map_err(|source| DispatchError::Unavailable {
            step: format!(
                "could not store the intent of cluster {} in {}",
                intent.name,
                dir.path().display()
            ),
            source: source.into(),
        })?;
        match agents.get(&cluster) {
            Some(agent) => {
                agent.intents.send_replace(intent.clone());
            }
            None => {
                let agent = Agent::start(&self.inner.local, &self.inner.board, intent.clone());
                agents.insert(cluster, agent);
            }
        }
        Ok(())
    }

    async fn withdraw(&self, cluster: ClusterId) -> Result<(), DispatchError> {
        let mut agents = self.inner.agents.lock().await;
        if let Some(agent) = agents.remove(&cluster) {
            agent.stop().await;
        }
        self.inner.board.remove(cluster);
        let dir = self.dir(cluster);
        forget(&dir).map_err(|source| DispatchError::Unavailable {
            step: format!("could not delete the intent of cluster {cluster} in {}", dir.path().display()),
            source: source.into(),
        })
    }

    fn statuses(&self) -> impl Stream<Item = ClusterStatus> + Send {
        self.inner.board.follow()
    }
}

fn store(dir: &ClusterDir, intent: &ClusterIntent) -> io::Result<()> {
    files::make_private_dir(dir.path())?;
    files::replace(&dir.intent(), &serde_json::to_vec_pretty(intent)?, Mode::Public)
}

fn forget(dir: &ClusterDir) -> io::Result<()> {
    files::remove_file(&dir.intent())?;
    match std::fs::remove_dir(dir.path()) {
        // A cluster that was withdrawn before it was removed keeps what it has.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
