//! The dispatch of one machine: published intents are files, and each has an agent in this process.
//!
//! Because the intents are on disk, clusters go on healing while Postgres is down, and after a restart of the server
//! before Postgres is back.

use std::io;

use agent::clock::System;
use agent::{Board, Dispatch, DispatchError, Fleet, Metrics};
use futures_util::Stream;
use model::{ClusterId, ClusterIntent, ClusterStatus};
use thiserror::Error;

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
    local: Local,
    fleet: Fleet<Local, System>,
}

impl InProcess {
    /// Takes up every cluster whose intent was stored.
    pub fn resume(local: Local, metrics: Metrics) -> Result<InProcess, ResumeError> {
        let mut intents = Vec::new();
        for cluster in local.root().clusters().map_err(ResumeError::List)? {
            let read = |source| ResumeError::Read { cluster, source };
            if let Some(intent) = stored(&local.root().cluster(cluster)).map_err(read)? {
                intents.push(intent);
            }
        }
        tracing::info!(clusters = intents.len(), "took up {} clusters", intents.len());
        let fleet = Fleet::measured(local.clone(), System, metrics, intents);
        Ok(InProcess { local, fleet })
    }

    /// The newest status of every cluster, and changes to come.
    #[must_use]
    pub fn board(&self) -> &Board {
        self.fleet.board()
    }

    /// Ends all agents, and waits for what they have begun. Brokers go on; the next server takes them up.
    pub async fn stop(&self) {
        self.fleet.stop().await;
        self.local.settle().await;
    }

    fn dir(&self, cluster: ClusterId) -> ClusterDir {
        self.local.root().cluster(cluster)
    }
}

impl Dispatch for InProcess {
    async fn publish(&self, intent: &ClusterIntent) -> Result<(), DispatchError> {
        let dir = self.dir(intent.cluster);
        let store = |intent: &ClusterIntent| {
            store(&dir, intent).map_err(|source| DispatchError::Unavailable {
                step: format!(
                    "could not store the intent of cluster {} in {}",
                    intent.name,
                    dir.path().display()
                ),
                source: source.into(),
            })
        };
        self.fleet.follow(intent, store).await
    }

    async fn withdraw(&self, cluster: ClusterId) -> Result<(), DispatchError> {
        let dir = self.dir(cluster);
        let forget = || {
            forget(&dir).map_err(|source| DispatchError::Unavailable {
                step: format!("could not delete the intent of cluster {cluster} in {}", dir.path().display()),
                source: source.into(),
            })
        };
        self.fleet.leave(cluster, forget).await
    }

    fn statuses(&self) -> impl Stream<Item = ClusterStatus> + Send {
        self.fleet.board().follow()
    }
}

fn stored(dir: &ClusterDir) -> io::Result<Option<ClusterIntent>> {
    let text = files::read_if_there(&dir.intent())?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
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
