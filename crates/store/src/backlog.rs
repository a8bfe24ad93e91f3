//! How much is waiting to be done, for those who watch an installation.

use model::Timestamp;

use crate::{StoreError, Tx};

/// Counts of what is unfinished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Jobs to be done, now or later.
    pub jobs_waiting: i64,
    /// Jobs that were given up and not yet pruned.
    pub jobs_dead: i64,
    /// When the oldest waiting job was stored.
    pub oldest_job: Option<Timestamp>,
    /// Effects that have not happened yet.
    pub outbox_waiting: i64,
    /// When the oldest of them was stored.
    pub oldest_effect: Option<Timestamp>,
    /// Operations that have not ended.
    pub operations_unfinished: i64,
    /// Clusters whose newest intent no agent has taken yet.
    pub intents_unpublished: i64,
}

/// Counts. Each count reads an index of what is unfinished, except for clusters, which are as many as there are
/// customers: some milliseconds for ten thousand of them.
pub async fn count(tx: &mut Tx) -> Result<Backlog, StoreError> {
    let row = sqlx::query!(
        r#"select
             (select count(*) from jobs where state = 'queued') as "jobs_waiting!",
             (select count(*) from jobs where state = 'dead') as "jobs_dead!",
             (select min(created_at_ms) from jobs where state = 'queued') as oldest_job,
             (select count(*) from outbox) as "outbox_waiting!",
             (select min(created_at_ms) from outbox) as oldest_effect,
             (select count(*) from operations where finished_at_ms is null) as "operations_unfinished!",
             (select count(*) from clusters
               where published_generation < generation and removed_at_ms is null) as "intents_unpublished!""#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Backlog {
        jobs_waiting: row.jobs_waiting,
        jobs_dead: row.jobs_dead,
        oldest_job: row.oldest_job.map(Timestamp),
        outbox_waiting: row.outbox_waiting,
        oldest_effect: row.oldest_effect.map(Timestamp),
        operations_unfinished: row.operations_unfinished,
        intents_unpublished: row.intents_unpublished,
    })
}
