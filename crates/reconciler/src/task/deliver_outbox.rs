//! Makes happen what must follow a commit.

use std::time::Duration;

use agent::Dispatch;
use store::StoreError;
use store::outbox::{Effect, Message};

use crate::leader::Leader;

/// Effects read at one time.
const BATCH: u32 = 100;

/// The longest pause between two attempts. An effect is never given up: it must happen.
const MAX_PAUSE: Duration = Duration::from_secs(60);

impl<D: Dispatch> Leader<'_, D> {
    pub(crate) async fn deliver_outbox(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let messages = store::outbox::due(&mut tx, self.now(), BATCH).await?;
        drop(tx);
        for message in messages {
            match message.effect {
                Effect::Withdraw => self.withdraw(&message).await?,
            }
        }
        Ok(())
    }

    async fn withdraw(&self, message: &Message) -> Result<(), StoreError> {
        let outcome = self.reconciler.dispatch.withdraw(message.cluster).await;
        self.reconciler.metrics.told("withdraw", &outcome);
        let mut tx = self.begin().await?;
        match outcome {
            Ok(()) => {
                store::cluster::set_withdrawn(&mut tx, message.cluster, self.now()).await?;
                store::outbox::delivered(&mut tx, message.position).await?;
            }
            Err(error) => {
                tracing::warn!(cluster.id = %message.cluster, %error, "an agent could not be told to stop following a cluster; it will be tried again");
                let doublings = u32::try_from(message.attempts).unwrap_or(0).min(10);
                let pause = Duration::from_secs(1 << doublings).min(MAX_PAUSE);
                store::outbox::retry(&mut tx, message.position, self.now().plus(pause)).await?;
            }
        }
        tx.commit().await
    }
}
