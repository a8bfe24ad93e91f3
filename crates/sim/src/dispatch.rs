//! The fake world behind seam A: a dispatch whose clusters are made of nothing.

use agent::{Clock, Dispatch, DispatchError, Fleet};
use futures_util::Stream;
use model::{ClusterId, ClusterIntent, ClusterStatus};

use crate::substrate::Worlds;

/// A dispatch in memory. A cheap handle; clones are the same.
#[derive(Clone, Debug)]
pub struct InMemory<C> {
    /// The worlds of its clusters.
    pub worlds: Worlds<C>,
    fleet: Fleet<Worlds<C>, C>,
}

impl<C: Clock + Clone + 'static> InMemory<C> {
    /// A dispatch without clusters. To be called in a tokio runtime.
    pub fn new(clock: C) -> InMemory<C> {
        let worlds = Worlds::new(clock.clone());
        InMemory { worlds: worlds.clone(), fleet: Fleet::new(worlds, clock, []) }
    }

    /// Ends all agents.
    pub async fn stop(&self) {
        self.fleet.stop().await;
    }
}

impl<C: Clock + Clone + 'static> Dispatch for InMemory<C> {
    async fn publish(&self, intent: &ClusterIntent) -> Result<(), DispatchError> {
        self.fleet.follow(intent, |_| Ok(())).await
    }

    async fn withdraw(&self, cluster: ClusterId) -> Result<(), DispatchError> {
        self.fleet.leave(cluster, || Ok(())).await
    }

    fn statuses(&self) -> impl Stream<Item = ClusterStatus> + Send {
        self.fleet.board().follow()
    }
}
