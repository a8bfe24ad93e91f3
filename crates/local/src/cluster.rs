//! What this server knows of one cluster: its brokers, and a bell that rings when one of them ends.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::BrokerId;
use tokio::sync::Notify;

use crate::broker::Broker;
use crate::layout::ClusterDir;

/// One cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) dir: ClusterDir,
    pub(crate) changed: Arc<Notify>,
    /// Never held across an await.
    brokers: Mutex<BTreeMap<BrokerId, Arc<Broker>>>,
}

impl Cluster {
    /// A cluster as disk and process table show it. `found` are processes by the configuration they were started with.
    pub(crate) fn adopt(dir: ClusterDir, found: &BTreeMap<PathBuf, i32>) -> io::Result<Arc<Cluster>> {
        let changed = Arc::new(Notify::new());
        let mut brokers = BTreeMap::new();
        for id in dir.broker_ids()? {
            let process = found.get(&dir.broker(id).properties()).copied();
            brokers.insert(id, Broker::adopt(&dir, id, process, &changed)?);
        }
        Ok(Arc::new(Cluster { dir, changed, brokers: Mutex::new(brokers) }))
    }

    /// Its brokers, in order.
    pub(crate) fn brokers(&self) -> Vec<(BrokerId, Arc<Broker>)> {
        self.map().iter().map(|(id, broker)| (*id, Arc::clone(broker))).collect()
    }

    /// A broker of which there is a trace.
    pub(crate) fn broker(&self, id: BrokerId) -> Option<Arc<Broker>> {
        self.map().get(&id).cloned()
    }

    /// A broker, made known if need be. No process can run with its configuration if it was not known: this server
    /// has adopted all that did.
    pub(crate) fn broker_or_new(&self, id: BrokerId) -> io::Result<Arc<Broker>> {
        let mut map = self.map();
        if let Some(broker) = map.get(&id) {
            return Ok(Arc::clone(broker));
        }
        let broker = Broker::adopt(&self.dir, id, None, &self.changed)?;
        map.insert(id, Arc::clone(&broker));
        Ok(broker)
    }

    /// Forgets a broker that was removed.
    pub(crate) fn forget(&self, id: BrokerId) {
        self.map().remove(&id);
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<BrokerId, Arc<Broker>>> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
