//! The substrate of one machine: [`agent::Substrate`] by child processes and directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent::clock::System;
use agent::{Performed, Substrate, SubstrateError};
use futures_util::future::join_all;
use model::action::BrokerSpec;
use model::observed::Gap;
use model::version::Release;
use model::{Action, BrokerId, ClusterId, Observed, Reason};
use thiserror::Error;

use crate::broker::{Broker, sort};
use crate::cluster::Cluster;
use crate::layout::{INTENT, Ports, Root};
use crate::{authority, files, port, procfs};

/// What a local substrate must be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything of all clusters lies. Made if it does not exist.
    pub dir: PathBuf,
    /// The broker's binary of each release that is installed.
    pub releases: BTreeMap<Release, PathBuf>,
    /// The address on which brokers listen and under which clients reach them.
    pub host: IpAddr,
}

/// The substrate could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another server uses the directory.
    #[error(
        "{} is in use by another penstock-server; stop that one first, or choose another directory",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory cannot be used.
    #[error("{} cannot be used; it must be writable for the user who runs penstock-server", dir.display())]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What earlier servers left could not be read.
    #[error("the clusters below {} could not be read", dir.display())]
    Unreadable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What this substrate offers of ways in, for who asks for something else.
const OFFER: &str = "on one machine it gets exactly one; change its intent";

/// The substrate. A cheap handle; clones are the same.
#[derive(Clone, Debug)]
pub struct Local {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: Root,
    releases: BTreeMap<Release, PathBuf>,
    host: IpAddr,
    /// Held for as long as this exists, and beyond that by starts under way.
    lock: Arc<File>,
    /// Never held across an await.
    clusters: Mutex<BTreeMap<ClusterId, Arc<Cluster>>>,
    /// Ports of all brokers there are, running or not. Never held across an await.
    ports: Mutex<BTreeSet<u16>>,
}

impl Local {
    /// Opens the directory and finds the brokers that earlier servers started. Must be called in a tokio runtime, which
    /// then waits for the end of each.
    pub fn open(config: Config) -> Result<Local, OpenError> {
        let unusable = |source| OpenError::Unusable { dir: config.dir.clone(), source };
        files::make_private_dir(&config.dir).map_err(unusable)?;
        // Brokers are recognised by the path of their configuration, so it must be the same for every server.
        let dir = config.dir.canonicalize().map_err(unusable)?;
        let root = Root::new(&dir);
        files::make_private_dir(root.path()).map_err(unusable)?;
        let lock = lock(&root).map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse { dir: config.dir.clone() },
            TryLockError::Error(source) => unusable(source),
        })?;
        let clusters =
            adopt(&root).map_err(|source| OpenError::Unreadable { dir: config.dir.clone(), source })?;
        let brokers = clusters.values().flat_map(|cluster| cluster.brokers());
        let ports =
            brokers.filter_map(|(_, broker)| broker.ports()).flat_map(|it| [it.client, it.admin]).collect();
        let inner = Inner {
            root,
            releases: config.releases,
            host: config.host,
            lock: Arc::new(lock),
            clusters: Mutex::new(clusters),
            ports: Mutex::new(ports),
        };
        Ok(Local { inner: Arc::new(inner) })
    }

    /// Stops every broker of every cluster and keeps all data. One that checks its logs is stopped too and begins anew
    /// when it is started: whoever takes everything down wants nothing left running. For taking the whole platform down, when no
    /// agent runs any more; an agent would start them again.
    pub async fn stop_all_brokers(&self) -> Vec<SubstrateError> {
        let clusters: Vec<Arc<Cluster>> = self.clusters().values().cloned().collect();
        let brokers = clusters.iter().flat_map(|cluster| cluster.brokers());
        let stops = brokers.filter_map(|(_, broker)| {
            let incarnation = broker.incarnation()?;
            Some(async move { broker.stop(&incarnation, false, self.inner.host).await })
        });
        join_all(stops).await.into_iter().filter_map(Result::err).collect()
    }

    /// Returns when no action on any broker is under way. What was begun is finished even if nobody waits for it.
    pub(crate) async fn settle(&self) {
        let clusters: Vec<Arc<Cluster>> = self.clusters().values().cloned().collect();
        for (_, broker) in clusters.iter().flat_map(|cluster| cluster.brokers()) {
            broker.settle().await;
        }
    }

    pub(crate) fn root(&self) -> &Root {
        &self.inner.root
    }

    fn clusters(&self) -> MutexGuard<'_, BTreeMap<ClusterId, Arc<Cluster>>> {
        self.inner.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cluster(&self, id: ClusterId) -> Result<Arc<Cluster>, SubstrateError> {
        let mut clusters = self.clusters();
        if let Some(cluster) = clusters.get(&id) {
            return Ok(Arc::clone(cluster));
        }
        let dir = self.inner.root.cluster(id);
        // Whatever ran before this server is known since it was opened.
        let cluster = Cluster::adopt(dir.clone(), &BTreeMap::new())
            .map_err(|error| sort(format!("could not read {}", dir.path().display()), error))?;
        clusters.insert(id, Arc::clone(&cluster));
        Ok(cluster)
    }

    async fn start(&self, cluster: &Cluster, spec: &BrokerSpec) -> Result<Performed, SubstrateError> {
        let binary = self.binary(&spec.release)?.to_owned();
        agent::one_listener(spec, OFFER)?;
        let broker = cluster.broker_or_new(spec.broker).map_err(|error| {
            sort(format!("could not read the directory of broker {}", spec.broker), error)
        })?;
        let ports = self.ports_of(&broker, spec)?;
        broker.start(spec, &binary, self.inner.host, ports, Arc::clone(&self.inner.lock)).await
    }

    /// The broker's ports, chosen now if it has none.
    fn ports_of(&self, broker: &Broker, spec: &BrokerSpec) -> Result<Ports, SubstrateError> {
        if let Some(ports) = broker.ports() {
            return Ok(ports);
        }
        let mut taken = self.inner.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let ports = port::choose(self.inner.host, spec.cluster.0, |port| taken.contains(&port))
            .map_err(|error| sort(format!("could not find a free port on {}", self.inner.host), error))?;
        taken.extend([ports.client, ports.admin]);
        Ok(ports)
    }

    fn binary(&self, release: &Release) -> Result<&Path, SubstrateError> {
        let installed = &self.inner.releases;
        installed.get(release).map(PathBuf::as_path).ok_or_else(|| {
            let known: Vec<&str> = installed.keys().map(|release| release.0.as_str()).collect();
            SubstrateError::Blocked {
                reason: Reason::ReleaseMissing,
                message: format!(
                    "release {release} of the broker is not installed on this machine (installed: {}); install it",
                    known.join(", ")
                ),
            }
        })
    }

    async fn remove_broker(&self, cluster: &Cluster, id: BrokerId) -> Result<Performed, SubstrateError> {
        let Some(broker) = cluster.broker(id) else { return Ok(Performed::Unneeded) };
        let performed = broker.remove().await?;
        cluster.forget(id);
        if let Some(ports) = broker.ports() {
            let mut taken = self.inner.ports.lock().unwrap_or_else(PoisonError::into_inner);
            taken.remove(&ports.client);
            taken.remove(&ports.admin);
        }
        Ok(performed)
    }

    async fn remove_rest(&self, cluster: &Cluster) -> Result<Performed, SubstrateError> {
        let dir = cluster.dir.clone();
        let removed = tokio::task::spawn_blocking(move || {
            if !dir.broker_ids()?.is_empty() {
                return Err(io::Error::other("it still has brokers"));
            }
            // What is being deleted lies in the brokers' directory; the authority goes last.
            files::remove_dir(&dir.brokers())?;
            files::remove_dir(&dir.ca())
        });
        let removed =
            removed.await.map_err(|error| SubstrateError::transient("deleting broke off", error))?;
        let step = || format!("could not delete what is left in {}", cluster.dir.path().display());
        removed.map(|()| Performed::Done).map_err(|error| sort(step(), error))
    }
}

impl Substrate for Local {
    async fn observe(&self, cluster: ClusterId) -> Result<Observed, SubstrateError> {
        let at = System::now();
        let cluster = self.cluster(cluster)?;
        let read = |error| sort(format!("could not read {}", cluster.dir.path().display()), error);
        let names = files::names_in(cluster.dir.path()).map_err(read)?;
        let looks = cluster.brokers().into_iter().map(|(id, broker)| async move {
            let seen = broker.look(self.inner.host).await;
            (id, seen)
        });
        let mut observed = Observed {
            at,
            brokers: BTreeMap::new(),
            cluster_ca: authority::certificate(&cluster.dir).map_err(read)?,
            // The intent is the dispatch's, and stays until it is withdrawn.
            remains: names.iter().any(|name| !name.starts_with(INTENT)),
            gaps: Vec::new(),
        };
        for (id, seen) in join_all(looks).await {
            match seen {
                Ok(seen) => {
                    observed.brokers.insert(id, seen);
                }
                Err(what) => observed.gaps.push(Gap { broker: Some(id), what }),
            }
        }
        Ok(observed)
    }

    async fn perform(&self, cluster: ClusterId, action: &Action) -> Result<Performed, SubstrateError> {
        let cluster = self.cluster(cluster)?;
        match action {
            Action::Start(spec) => self.start(&cluster, spec).await,
            Action::Restart { spec, incarnation, .. } => {
                // Before anything is stopped: a broker that runs is worth more than one that cannot be started.
                self.binary(&spec.release)?;
                agent::one_listener(spec, OFFER)?;
                let Some(broker) = cluster.broker(spec.broker) else { return Ok(Performed::Unneeded) };
                match broker.stop(incarnation, true, self.inner.host).await? {
                    Performed::Unneeded => Ok(Performed::Unneeded),
                    Performed::Done => self.start(&cluster, spec).await,
                }
            }
            Action::Stop { broker, incarnation, spare_recovery } => match cluster.broker(*broker) {
                Some(broker) => broker.stop(incarnation, *spare_recovery, self.inner.host).await,
                None => Ok(Performed::Unneeded),
            },
            Action::RemoveBroker { broker } => self.remove_broker(&cluster, *broker).await,
            Action::RemoveRest => self.remove_rest(&cluster).await,
        }
    }

    async fn changed(&self, cluster: ClusterId) {
        match self.cluster(cluster) {
            Ok(cluster) => cluster.changed.notified().await,
            // Nothing to wait for; the next look says what is wrong.
            Err(_) => std::future::pending().await,
        }
    }
}

fn lock(root: &Root) -> Result<File, TryLockError> {
    let file = File::options().create(true).truncate(false).write(true).open(root.lock());
    let file = file.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

fn adopt(root: &Root) -> io::Result<BTreeMap<ClusterId, Arc<Cluster>>> {
    let found = procfs::started_with_config_below(root.path())?;
    let mut clusters = BTreeMap::new();
    for id in root.clusters()? {
        clusters.insert(id, Cluster::adopt(root.cluster(id), &found)?);
    }
    Ok(clusters)
}
