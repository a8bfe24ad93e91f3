//! The agents of one process: one driver for each cluster, and the rules by which intents reach them.
//!
//! It knows nothing of where intents are kept: whoever publishes hands in how to store one, and that happens after the
//! intent was found acceptable and before any agent follows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{ClusterId, ClusterIntent};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::board::Board;
use crate::clock::Clock;
use crate::dispatch::DispatchError;
use crate::driver::Driver;
use crate::substrate::Substrate;

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
    /// Held while an intent is stored, so that two of one cluster cannot overtake each other.
    agents: Mutex<BTreeMap<ClusterId, Agent>>,
}

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
        let board = Board::default();
        let start =
            |intent: ClusterIntent| (intent.cluster, Agent::start(&substrate, &clock, &board, intent));
        let agents = intents.into_iter().map(start).collect();
        Fleet { inner: Arc::new(Inner { substrate, clock, board, agents: Mutex::new(agents) }) }
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
        let mut agents = self.inner.agents.lock().await;
        if let Some(agent) = agents.get(&intent.cluster) {
            if !is_news(&agent.intents.borrow(), intent)? {
                return Ok(());
            }
            store(intent)?;
            agent.intents.send_replace(intent.clone());
            return Ok(());
        }
        store(intent)?;
        let Inner { substrate, clock, board, .. } = &*self.inner;
        agents.insert(intent.cluster, Agent::start(substrate, clock, board, intent.clone()));
        Ok(())
    }

    /// Ends following a cluster. `forget` is called when no agent of it works any more.
    pub async fn leave(
        &self,
        cluster: ClusterId,
        forget: impl FnOnce() -> Result<(), DispatchError> + Send,
    ) -> Result<(), DispatchError> {
        let mut agents = self.inner.agents.lock().await;
        if let Some(agent) = agents.remove(&cluster) {
            agent.stop().await;
        }
        self.inner.board.remove(cluster);
        forget()
    }

    /// Ends all agents. What they cared for goes on without them.
    pub async fn stop(&self) {
        let agents = std::mem::take(&mut *self.inner.agents.lock().await);
        for agent in agents.into_values() {
            agent.stop().await;
        }
    }
}

impl Agent {
    fn start<S, C>(substrate: &S, clock: &C, board: &Board, intent: ClusterIntent) -> Agent
    where
        S: Substrate + Clone + 'static,
        C: Clock + Clone + 'static,
    {
        let cluster = intent.cluster;
        let (intents, receiver) = watch::channel(intent);
        let driver =
            Driver { substrate: substrate.clone(), clock: clock.clone(), cluster, intents: receiver };
        let board = board.clone();
        Agent { intents, driver: tokio::spawn(driver.run(move |status| board.post(status))) }
    }

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
