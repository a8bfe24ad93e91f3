//! Writes down what agents say, and what follows from it.
//!
//! The only task that is told something rather than looking: statuses come as a stream. What could not be stored is
//! kept, the newest of each cluster, and stored when Postgres is back; it is never more than one status a cluster.

use std::collections::BTreeMap;
use std::pin::pin;

use agent::Dispatch;
use futures_util::StreamExt;
use model::{ClusterId, ClusterStatus};
use store::StoreError;

use crate::judge;
use crate::leader::Leader;

impl<D: Dispatch> Leader<'_, D> {
    /// Ends when the lead is lost.
    pub(crate) async fn collect_status(&self) {
        let pause = self.reconciler.config.pause_after_failure;
        let mut waiting: BTreeMap<ClusterId, ClusterStatus> = BTreeMap::new();
        loop {
            let mut statuses = pin!(self.reconciler.dispatch.statuses());
            loop {
                // With something left to store, new statuses are waited for only as long as a pause.
                let heard = if waiting.is_empty() {
                    Ok(statuses.next().await)
                } else {
                    tokio::time::timeout(pause, statuses.next()).await
                };
                match heard {
                    Ok(Some(status)) => keep_newest(&mut waiting, status),
                    Ok(None) => break,
                    // Nothing new: try again to store what is left.
                    Err(_) => {}
                }
                match self.store_statuses(&mut waiting).await {
                    Err(StoreError::LeaseLost) => return,
                    outcome => self.reconciler.outage.note("store statuses", &outcome),
                }
            }
            // The agents are being restarted: listen again. The first that they then say is how everything is.
            tokio::time::sleep(pause).await;
        }
    }

    async fn store_statuses(
        &self,
        waiting: &mut BTreeMap<ClusterId, ClusterStatus>,
    ) -> Result<(), StoreError> {
        while let Some((cluster, status)) = waiting.first_key_value() {
            if status.is_lost() {
                self.reconciler.metrics.status("lost");
                self.to_publish_again().insert(*cluster);
                self.look_again();
                waiting.pop_first();
                continue;
            }
            let mut tx = self.begin_on(*cluster).await?;
            let is_news = store::cluster::set_status(&mut tx, status).await?;
            self.reconciler.metrics.status(if is_news { "stored" } else { "old" });
            if is_news {
                store::observation::keep_if_new(&mut tx, status, &judge::summary(status)).await?;
                self.settle(&mut tx, *cluster).await?;
            }
            tx.commit().await?;
            waiting.pop_first();
        }
        Ok(())
    }
}

fn keep_newest(waiting: &mut BTreeMap<ClusterId, ClusterStatus>, status: ClusterStatus) {
    let age = |status: &ClusterStatus| (status.observed_generation, status.at);
    match waiting.get(&status.cluster) {
        // What was lost is lost, however new the status before it.
        Some(kept) if age(kept) > age(&status) && !status.is_lost() => {}
        _ => {
            waiting.insert(status.cluster, status);
        }
    }
}
