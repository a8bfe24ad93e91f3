//! Looks at every cluster with unfinished operations, for what no single status brings about: that something has been
//! hopeless for long enough, or that a status was stored by a leader that then died.

use agent::Dispatch;
use model::ClusterId;
use store::StoreError;

use crate::leader::Leader;

/// Clusters read at one time.
const BATCH: u32 = 100;

impl<D: Dispatch> Leader<'_, D> {
    pub(crate) async fn advance_operations(&self) -> Result<(), StoreError> {
        let mut after: Option<ClusterId> = None;
        loop {
            let mut tx = self.begin().await?;
            let clusters = store::operation::clusters_with_unfinished(&mut tx, after, BATCH).await?;
            drop(tx);
            let Some(last) = clusters.last() else { return Ok(()) };
            after = Some(*last);
            for cluster in clusters {
                let mut tx = self.begin_on(cluster).await?;
                self.settle(&mut tx, cluster).await?;
                tx.commit().await?;
            }
        }
    }
}
