//! Carries out jobs that their creators could not finish.

use agent::Dispatch;
use futures_util::future::try_join_all;
use store::StoreError;

use crate::leader::Leader;

/// Jobs carried out at the same time. Most of a job is waiting for a broker, and one cluster that does not answer
/// takes a deadline each time; with eight, seven such clusters do not hold the others up.
const WORKERS: usize = 8;

impl<D: Dispatch> Leader<'_, D> {
    pub(crate) async fn run_jobs(&self) -> Result<(), StoreError> {
        try_join_all((0..WORKERS).map(|_| self.run_due_jobs())).await?;
        Ok(())
    }

    async fn run_due_jobs(&self) -> Result<(), StoreError> {
        let control = &self.reconciler.control;
        loop {
            let now = self.now();
            let mut tx = self.begin().await?;
            let Some(job) = store::job::take_due(&mut tx, now, control.job_taken_until(now)).await? else {
                return Ok(());
            };
            tx.commit().await?;
            let end = control.perform_job(&job).await;
            self.reconciler.metrics.job_tried(&job.kind, &end);
            tracing::info!(job.id = %job.id, job.kind, job.subject, cluster.id = %job.cluster, attempt = job.attempts, ?end, "a job was tried");
            let mut tx = self.begin().await?;
            end.record(&mut tx, &job, self.now()).await?;
            tx.commit().await?;
        }
    }
}
