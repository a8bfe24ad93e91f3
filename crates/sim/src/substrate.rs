//! The fake world behind seam B, in real time: clusters without processes, for whoever tests what is above the seam.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent::{Clock, Performed, Substrate, SubstrateError};
use model::{Action, ClusterId, Observed, Timestamp};
use tokio::sync::Notify;

use crate::world::World;

/// How long the bell waits when nothing is bound to happen.
const QUIET: Duration = Duration::from_secs(1);

/// One fake world for each cluster. A cheap handle; clones are the same.
#[derive(Clone, Debug)]
pub struct Worlds<C> {
    clock: C,
    worlds: Arc<Mutex<BTreeMap<ClusterId, World>>>,
    meddled: Arc<Notify>,
}

impl<C: Clock> Worlds<C> {
    /// No world yet; each begins when it is first looked at.
    pub fn new(clock: C) -> Worlds<C> {
        Worlds { clock, worlds: Arc::default(), meddled: Arc::default() }
    }

    /// Does something to the world of a cluster, for instance kills a broker of it.
    pub fn meddle<T>(&self, cluster: ClusterId, meddle: impl FnOnce(&mut World) -> T) -> T {
        let result = self.with(cluster, meddle);
        self.meddled.notify_waiters();
        result
    }

    fn with<T>(&self, cluster: ClusterId, work: impl FnOnce(&mut World) -> T) -> T {
        let now = self.clock.now();
        let mut worlds = self.lock();
        let world = worlds.entry(cluster).or_insert_with(|| World::new(now));
        world.advance(now);
        work(world)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterId, World>> {
        self.worlds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock> Substrate for Worlds<C> {
    async fn observe(&self, cluster: ClusterId) -> Result<Observed, SubstrateError> {
        Ok(self.with(cluster, |world| world.observe()))
    }

    async fn perform(&self, cluster: ClusterId, action: &Action) -> Result<Performed, SubstrateError> {
        self.clock.sleep_until(self.clock.now().plus(World::takes(action))).await;
        // Whether the cluster is really to be removed is for whoever published that to know.
        self.with(cluster, |world| world.perform(action, true))
    }

    async fn changed(&self, cluster: ClusterId) {
        let next: Option<Timestamp> = self.with(cluster, |world| world.next_event());
        let at = next.unwrap_or_else(|| self.clock.now().plus(QUIET));
        tokio::select! {
            () = self.clock.sleep_until(at) => {}
            () = self.meddled.notified() => {}
        }
    }
}
