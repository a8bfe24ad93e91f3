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
            self.publish_all().await?;
            self.all_published.store(true, Ordering::Relaxed);
        }
        self.publish_lost().await?;
        let mut tx = self.begin().await?;
        let intents = store::cluster::unpublished(&mut tx, BATCH).await?;
        drop(tx);
        for intent in &intents {
            self.publish(intent).await?;
        }
        Ok(())
    }

    async fn publish_all(&self) -> Result<(), StoreError> {
        let mut after: Option<ClusterId> = None;
        loop {
            let mut tx = self.begin().await?;
            let intents = store::cluster::followed(&mut tx, after, BATCH).await?;
            drop(tx);
            let Some(last) = intents.last() else { return Ok(()) };
            after = Some(last.cluster);
            for intent in &intents {
                if !self.publish(intent).await? {
                    self.to_publish_again().insert(intent.cluster);
                }
            }
        }
    }

    /// Hands over again what agents have lost, and what could not be handed over when everything was.
    async fn publish_lost(&self) -> Result<(), StoreError> {
        let lost: Vec<ClusterId> = self.to_publish_again().iter().copied().collect();
        for cluster in lost {
            // Taken out before the look: what is lost from now on counts again.
            self.to_publish_again().remove(&cluster);
            let mut tx = self.begin().await?;
            let tracked = store::cluster::tracked_locked(&mut tx, cluster).await?;
            let intent = match tracked.is_some_and(|tracked| !tracked.removed) {
                true => store::cluster::newest_intent(&mut tx, cluster).await?,
                // Of a cluster that is gone nothing is to be taken any more.
                false => None,
            };
            drop(tx);
            if let Some(intent) = intent
                && !self.publish(&intent).await?
            {
                self.to_publish_again().insert(cluster);
            }
        }
        Ok(())
    }

    /// Hands over an intent and writes down what came of it. Says whether the agent has it.
    async fn publish(&self, intent: &ClusterIntent) -> Result<bool, StoreError> {
        let answer = self.reconciler.dispatch.publish(intent).await;
        self.reconciler.metrics.told("publish", &answer);
        match answer {
            Ok(()) => {
                self.complaints().remove(&intent.cluster);
                let mut tx = self.begin_on(intent.cluster).await?;
                store::cluster::set_published(&mut tx, intent.cluster, intent.generation).await?;
                self.settle(&mut tx, intent.cluster).await?;
                tx.commit().await?;
                Ok(true)
            }
            // A change that came after this intent was read: the next look publishes that one.
            Err(DispatchError::Superseded { .. }) => Ok(true),
            Err(error) => {
                self.complain(intent, &error).await?;
                Ok(false)
            }
        }
    }

    /// Says why an intent was not taken: in the log, and to whoever waits for it. Once for each reason: it is tried
    /// again every few seconds.
    async fn complain(&self, intent: &ClusterIntent, error: &DispatchError) -> Result<(), StoreError> {
        let (cluster, generation) = (intent.cluster, intent.generation);
        let mut reason = error.to_string();
        if let Some(cause) = std::error::Error::source(error) {
            reason = format!("{reason}: {cause}");
        }
        if !self.hold_up(intent, &reason).await? {
            return Ok(());
        }
        match error {
            DispatchError::Different { .. } => {
                tracing::error!(cluster.id = %cluster, %generation, "an agent refuses an intent for good: {reason}");
            }
            DispatchError::Refused { .. } => {
                tracing::warn!(cluster.id = %cluster, %generation, "an intent waits for somebody to act: {reason}");
            }
            DispatchError::Superseded { .. } | DispatchError::Unavailable { .. } => {
                tracing::warn!(cluster.id = %cluster, %generation, "an intent could not be handed over; it will be tried again: {reason}");
            }
        }
        Ok(())
    }
}
