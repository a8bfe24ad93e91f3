//! Deletes rows that have served their purpose. The audit trail is not among them.

use std::time::Duration;

use agent::Dispatch;
use model::Timestamp;
use store::StoreError;

use crate::leader::Leader;

/// A client that repeats a request after so long is not the one that lost the answer.
const KEEP_IDEMPOTENCY_KEYS: Duration = Duration::from_secs(3 * 86_400);

/// Ended jobs explain what happened to a topic; a week is as far as anybody asks back.
const KEEP_JOBS: Duration = Duration::from_secs(7 * 86_400);

/// What was said about a cluster, for the talk after an incident.
const KEEP_OBSERVATIONS: Duration = Duration::from_secs(90 * 86_400);

/// Rows deleted in one transaction, so that none holds locks for long.
const BATCH: u32 = 1_000;

impl<D: Dispatch> Leader<'_, D> {
    pub(crate) async fn prune(&self) -> Result<(), StoreError> {
        let mut left = true;
        while left {
            let mut tx = self.begin().await?;
            let keys = store::idempotency::prune(&mut tx, self.ago(KEEP_IDEMPOTENCY_KEYS), BATCH).await?;
            let jobs = store::job::prune(&mut tx, self.ago(KEEP_JOBS), BATCH).await?;
            let observations = store::observation::prune(&mut tx, self.ago(KEEP_OBSERVATIONS), BATCH).await?;
            tx.commit().await?;
            left = [keys, jobs, observations].contains(&u64::from(BATCH));
        }
        Ok(())
    }

    fn ago(&self, span: Duration) -> Timestamp {
        Timestamp(self.now().0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}
