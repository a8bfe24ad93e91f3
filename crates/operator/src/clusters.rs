//! The clusters that are followed, by id: what each was validated to, and the little that is remembered of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyring::pki::Ca;
use model::{BrokerId, ClusterId, Timestamp};
use tokio::sync::Notify;

use crate::valid::Valid;

/// All of them. A cheap handle; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    inner: Arc<Mutex<BTreeMap<ClusterId, Arc<Cluster>>>>,
}

/// One of them.
#[derive(Debug)]
pub struct Cluster {
    valid: Mutex<Arc<Valid>>,
    /// Told when something of the cluster may have changed.
    pub changed: Notify,
    /// What was seen last of each broker's pod: when it is gone, somebody should know that it was there.
    pub sightings: Mutex<Sightings>,
    /// The authorities, as they were read last: one whose secret is deleted is put back as it was.
    pub authorities: Mutex<BTreeMap<String, Ca>>,
    /// Held while an authority is read or made, so that two who need one at the same time get the same.
    pub making_authority: tokio::sync::Mutex<()>,
}

/// The pods that were seen last, by broker.
pub type Sightings = BTreeMap<BrokerId, Sighting>;

/// A pod that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The start that was seen in it.
    pub incarnation: String,
    /// What it was made from.
    pub spec: Option<String>,
    /// Where clients reached it.
    pub endpoint: Option<model::status::Endpoint>,
    /// Whether the address that clients are sent to has led to this start.
    pub is_reached: bool,
    /// When its pod was first found gone.
    pub gone_at: Option<Timestamp>,
}

impl Clusters {
    /// Follows a cluster from now on, or goes on with what it is now.
    pub fn put(&self, valid: Valid) -> Arc<Cluster> {
        let mut clusters = self.lock();
        let id = valid.id();
        let valid = Arc::new(valid);
        if let Some(cluster) = clusters.get(&id) {
            *cluster.valid.lock().unwrap_or_else(PoisonError::into_inner) = valid;
            return Arc::clone(cluster);
        }
        let cluster = Arc::new(Cluster {
            valid: Mutex::new(valid),
            changed: Notify::new(),
            sightings: Mutex::default(),
            authorities: Mutex::default(),
            making_authority: tokio::sync::Mutex::default(),
        });
        clusters.insert(id, Arc::clone(&cluster));
        cluster
    }

    /// A cluster.
    #[must_use]
    pub fn get(&self, id: ClusterId) -> Option<Arc<Cluster>> {
        self.lock().get(&id).cloned()
    }

    /// Forgets a cluster.
    pub fn remove(&self, id: ClusterId) {
        self.lock().remove(&id);
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Cluster>> {
        self.lock().values().cloned().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterId, Arc<Cluster>>> {
        // Held for map operations only; a panic cannot leave the map half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// What it was validated to last.
    #[must_use]
    pub fn valid(&self) -> Arc<Valid> {
        Arc::clone(&self.valid.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The authority that was read last under this name.
    #[must_use]
    pub fn known_authority(&self, name: &str) -> Option<Ca> {
        self.authorities.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Remembers an authority.
    pub fn remember_authority(&self, name: &str, ca: &Ca) {
        let mut authorities = self.authorities.lock().unwrap_or_else(PoisonError::into_inner);
        authorities.insert(name.to_owned(), ca.clone());
    }
}
