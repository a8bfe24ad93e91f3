//! Work that is retried until it is done.
//!
//! A worker takes a job by counting an attempt and moving `run_after` past the time that it may need. That is all there
//! is to a claim: a worker that dies leaves a job that becomes due by itself, and no transaction stays open while the
//! network is slow. Jobs must therefore bear being done twice.

use model::{ClusterId, JobId, Timestamp};
use serde_json::Value;

use crate::{StoreError, Tx};

/// A job that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// On which cluster it works.
    pub cluster: ClusterId,
    /// On what of it, for instance `topic/orders`.
    pub subject: String,
    /// What is to be done.
    pub kind: String,
    /// With which arguments.
    pub payload: Value,
    /// How often it was tried, this attempt included.
    pub attempts: i32,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// What became of a job, for those who show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// On what it worked.
    pub subject: String,
    /// What was to be done.
    pub kind: String,
    /// With which arguments.
    pub payload: Value,
    /// Where it is.
    pub state: State,
    /// What the last attempt ended with, if not with success.
    pub last_error: Option<String>,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// To be done, now or later.
    Queued,
    /// Done.
    Done,
    /// Given up; `last_error` says why.
    Dead,
}

/// Stores a job that its creator takes at once: it becomes due for others only at `run_after`.
/// [`Constraint::JobSubject`](crate::Constraint::JobSubject) if one for this subject is under way.
pub async fn insert_taken(tx: &mut Tx, job: &Job, run_after: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into jobs (id, cluster_id, subject, kind, payload, state, attempts, run_after_ms, created_at_ms)
         values ($1, $2, $3, $4, $5, 'queued', $6, $7, $8)",
        job.id.0,
        job.cluster.0,
        job.subject,
        job.kind,
        job.payload,
        job.attempts,
        run_after.0,
        job.created_at.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes the job that has been due longest, until `taken_until`.
pub async fn take_due(
    tx: &mut Tx,
    now: Timestamp,
    taken_until: Timestamp,
) -> Result<Option<Job>, StoreError> {
    let row = sqlx::query!(
        "update jobs set attempts = attempts + 1, run_after_ms = $2
         where id = (select id from jobs where state = 'queued' and run_after_ms <= $1
                     order by run_after_ms limit 1 for update skip locked)
         returning id, cluster_id, subject, kind, payload, attempts, created_at_ms",
        now.0,
        taken_until.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Job {
        id: JobId(row.id),
        cluster: ClusterId(row.cluster_id),
        subject: row.subject,
        kind: row.kind,
        payload: row.payload,
        attempts: row.attempts,
        created_at: Timestamp(row.created_at_ms),
    }))
}

/// When the next job becomes due.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query!("select min(run_after_ms) as at_ms from jobs where state = 'queued'")
        .fetch_one(tx.conn())
        .await?;
    Ok(row.at_ms.map(Timestamp))
}

/// Notes that a job is done. An attempt that was overtaken by a later one may say so too: done is done.
pub async fn finish(tx: &mut Tx, id: JobId, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "update jobs set state = 'done', finished_at_ms = $2, last_error = null where id = $1 and state = 'queued'",
        id.0,
        now.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts a job back to be tried again at `run_after`.
pub async fn retry(tx: &mut Tx, id: JobId, run_after: Timestamp, error: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update jobs set run_after_ms = $2, last_error = $3 where id = $1 and state = 'queued'",
        id.0,
        run_after.0,
        error
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives a job up.
pub async fn bury(tx: &mut Tx, id: JobId, now: Timestamp, error: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update jobs set state = 'dead', finished_at_ms = $2, last_error = $3 where id = $1 and state = 'queued'",
        id.0,
        now.0,
        error
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives up all jobs of a cluster, because it is being removed.
pub async fn bury_all(
    tx: &mut Tx,
    cluster: ClusterId,
    now: Timestamp,
    error: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update jobs set state = 'dead', finished_at_ms = $2, last_error = $3
         where cluster_id = $1 and state = 'queued'",
        cluster.0,
        now.0,
        error
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The jobs of a cluster that are under way, and those that ended after `since`; oldest first.
pub async fn recent(tx: &mut Tx, cluster: ClusterId, since: Timestamp) -> Result<Vec<Outcome>, StoreError> {
    let rows = sqlx::query!(
        "select subject, kind, payload, state, last_error from jobs
         where cluster_id = $1 and (state = 'queued' or finished_at_ms > $2)
         order by id",
        cluster.0,
        since.0
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Outcome {
                subject: row.subject,
                kind: row.kind,
                payload: row.payload,
                state: crate::code::parse("job state", &row.state)?,
                last_error: row.last_error,
            })
        })
        .collect()
}

/// Deletes jobs that ended before `before`; at most `limit` at a time.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from jobs where id = any(array(
             select id from jobs where state <> 'queued' and finished_at_ms < $1 limit $2))",
        before.0,
        i64::from(limit)
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
