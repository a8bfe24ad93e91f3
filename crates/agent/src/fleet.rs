//! The agents of one process: one driver for each cluster, and the rules by which intents reach them.
//!
//! It knows nothing of where intents are kept: whoever publishes hands in how to store one, and that happens after the
//! intent was found acceptable and before any agent follows it.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use model::{ClusterId, ClusterIntent};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::board::Board;
use crate::clock::Clock;
use crate::dispatch::DispatchError;
use crate::driver::Driver;
use crate::metrics::Metrics;
use crate::substrate::Substrate;

/// The pause before a driver that broke down is started again: long enough that one which breaks down at once costs
/// nothing, short enough that its cluster hardly waits.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The agents. A cheap handle; clones are the same.
#[derive(Debug)]
pub struct Fleet<S, C> {
    inner: Arc<Inner<S, C>>,
}

#[derive(Debug)]
struct Inner<S, C> {
    substrate: S,
    clock: C,
    board: Board,
    metrics: Metrics,
    /// Held for an operation on the map and never across an await.
    agents: std::sync::Mutex<BTreeMap<ClusterId, Slot>>,
}

/// The place of one cluster's agent. Held while an intent is stored and while an agent ends, so that two intents of a
/// cluster cannot overtake each other and it never has two agents; other clusters do not wait for it.
type Slot = Arc<Mutex<Option<Agent>>>;

/// A driver at work.
#[derive(Debug)]
struct Agent {
    intents: watch::Sender<ClusterIntent>,
    driver: JoinHandle<()>,
}

impl<S, C> Clone for Fleet<S, C> {
    fn clone(&self) -> Self {
        Fleet { inner: Arc::clone(&self.inner) }
    }
}

impl<S, C> Fleet<S, C>
where
    S: Substrate + Clone + 'static,
    C: Clock + Clone + 'static,
{
    /// A fleet that follows these intents, at most one for each cluster. To be called in a tokio runtime.
    pub fn new(substrate: S, clock: C, intents: impl IntoIterator<Item = ClusterIntent>) -> Fleet<S, C> {
        Fleet::measured(substrate, clock, Metrics::default(), intents)
    }

    /// The same, counting in these metrics.
    pub fn measured(
        substrate: S,
        clock: C,
        metrics: Metrics,
        intents: impl IntoIterator<Item = ClusterIntent>,
    ) -> Fleet<S, C> {
        let inner = Inner { substrate, clock, board: Board::default(), metrics, agents: Default::default() };
        for intent in intents {
            let slot = Arc::new(Mutex::new(Some(inner.start(intent.clone()))));
            inner.slots().insert(intent.cluster, slot);
        }
        Fleet { inner: Arc::new(inner) }
    }

    /// What the agents say.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.inner.board
    }

    /// Follows an intent from now on. `store` is called if it is news; if that fails nothing has changed.
    pub async fn follow(
        &self,
        intent: &ClusterIntent,
        store: impl FnOnce(&ClusterIntent) -> Result<(), DispatchError> + Send,
    ) -> Result<(), DispatchError> {
        let slot = self.inner.slot(intent.cluster);
        let mut agent = slot.lock().await;
        match &*agent {
            Some(agent) => {
                if is_news(&agent.intents.borrow(), intent)? {
                    store(intent)?;
                    agent.intents.send_replace(intent.clone());
                }
            }
            None => {
                store(intent)?;
                *agent = Some(self.inner.start(intent.clone()));
            }
        }
        Ok(())
    }

    /// Ends following a cluster. `forget` is called when no agent of it works any more.
    pub async fn leave(
        &self,
        cluster: ClusterId,
        forget: impl FnOnce() -> Result<(), DispatchError> + Send,
    ) -> Result<(), DispatchError> {
        let slot = self.inner.slot(cluster);
        let forgotten = {
            let mut agent = slot.lock().await;
            if let Some(agent) = agent.take() {
                agent.stop().await;
            }
            self.inner.board.remove(cluster);
            forget()
        };
        self.inner.put_away(cluster, &slot);
        forgotten
    }

    /// Ends all agents. What they cared for goes on without them.
    pub async fn stop(&self) {
        let slots = std::mem::take(&mut *self.inner.slots());
        for slot in slots.into_values() {
            if let Some(agent) = slot.lock().await.take() {
                agent.stop().await;
            }
        }
    }
}

impl<S, C> Inner<S, C>
where
    S: Substrate + Clone + 'static,
    C: Clock + Clone + 'static,
{
    fn slots(&self) -> MutexGuard<'_, BTreeMap<ClusterId, Slot>> {
        // A panic of another thread cannot leave the map half changed.
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, cluster: ClusterId) -> Slot {
        Arc::clone(self.slots().entry(cluster).or_default())
    }

    /// Takes an empty place away, unless somebody waits for it: places are handed out under the same lock.
    fn put_away(&self, cluster: ClusterId, slot: &Slot) {
        let mut slots = self.slots();
        let is_unused = Arc::strong_count(slot) == 2;
        if is_unused && slots.get(&cluster).is_some_and(|known| Arc::ptr_eq(known, slot)) {
            slots.remove(&cluster);
        }
    }

    fn start(&self, intent: ClusterIntent) -> Agent {
        let cluster = intent.cluster;
        let (intents, receiver) = watch::channel(intent);
        let driver = Driver {
            substrate: self.substrate.clone(),
            clock: self.clock.clone(),
            cluster,
            intents: receiver,
            metrics: self.metrics.clone(),
        };
        Agent { intents, driver: tokio::spawn(keep_driving(driver, self.board.clone())) }
    }
}

/// Drives until the agent is stopped. A driver that breaks down takes nothing along: another one begins with what it sees.
async fn keep_driving<S, C>(driver: Driver<S, C>, board: Board)
where
    S: Substrate + Clone + 'static,
    C: Clock + Clone + 'static,
{
    let cluster = driver.cluster;
    loop {
        let board = board.clone();
        // A task of its own, so that a panic ends it and not this one.
        let broken = match tokio::spawn(driver.clone().run(move |status| board.post(status))).await {
            Ok(()) => return,
            Err(error) => error,
        };
        tracing::error!(cluster.id = %cluster, "the driver of cluster {cluster} broke down and is started again: {broken}");
        driver.metrics.driver_restarted();
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

impl Agent {
    async fn stop(self) {
        drop(self.intents);
        if let Err(error) = self.driver.await {
            tracing::error!("the driver of a cluster failed: {error}");
        }
    }
}

/// Whether an intent replaces the one that is followed. The same one again is no news; an older one is refused.
fn is_news(current: &ClusterIntent, offered: &ClusterIntent) -> Result<bool, DispatchError> {
    let cluster = offered.cluster;
    if offered.generation < current.generation {
        let (current, offered) = (current.generation, offered.generation);
        return Err(DispatchError::Superseded { cluster, current, offered });
    }
    if offered.generation > current.generation {
        return Ok(true);
    }
    match offered == current {
        true => Ok(false),
        false => Err(DispatchError::Different { cluster, generation: offered.generation }),
    }
}

#[cfg(test)]
mod tests;
