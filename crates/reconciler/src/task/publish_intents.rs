//! Hands intents to the agents that have not taken them yet.
//!
//! The first look of a leader hands over all of them: an agent may have lost what another leader gave it, and taking
//! the same intent again changes nothing.

use std::sync::atomic::Ordering;

use agent::{Dispatch, DispatchError};
use model::{ClusterId, ClusterIntent};
use store::StoreError;

use crate::leader::Leader;

/// Intents read at one time: some hundred kilobytes.
const BATCH: u32 = 100;

impl<D: Dispatch> Leader<'_, D> {
    pub(crate) async fn publish_intents(&self) -> Result<(), StoreError> {
        if !self.all_published.load(Ordering::Relaxed) {
            let mut after: Option<ClusterId> = None;
            loop {
                let mut tx = self.begin().await?;
                let intents = store::cluster::followed(&mut tx, after, BATCH).await?;
                drop(tx);
                let Some(last) = intents.last() else { break };
                after = Some(last.cluster);
                self.publish_each(&intents).await?;
            }
            self.all_published.store(true, Ordering::Relaxed);
        }
        let mut tx = self.begin().await?;
        let intents = store::cluster::unpublished(&mut tx, BATCH).await?;
        drop(tx);
        self.publish_each(&intents).await
    }

    async fn publish_each(&self, intents: &[ClusterIntent]) -> Result<(), StoreError> {
        for intent in intents {
            if self.publish(intent).await {
                let mut tx = self.begin_on(intent.cluster).await?;
                store::cluster::set_published(&mut tx, intent.cluster, intent.generation).await?;
                self.settle(&mut tx, intent.cluster).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// Whether the agent has taken the intent, now or before.
    async fn publish(&self, intent: &ClusterIntent) -> bool {
        let (cluster, generation) = (intent.cluster, intent.generation);
        match self.reconciler.dispatch.publish(intent).await {
            Ok(()) => true,
            // A change that came after this intent was read: the next look publishes that one.
            Err(DispatchError::Superseded { .. }) => false,
            Err(error @ DispatchError::Different { .. }) => {
                tracing::error!(cluster.id = %cluster, %generation, %error, "an agent refuses an intent for good");
                false
            }
            Err(error @ DispatchError::Unavailable { .. }) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(cluster.id = %cluster, %generation, %error, cause, "an intent could not be handed over; it will be tried again");
                false
            }
        }
    }
}
