//! Effects that must follow a commit: written by the transaction that causes them, removed when they have happened.

use model::{ClusterId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{StoreError, Tx, code};

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The agent is told to stop following a cluster of which nothing is left.
    Withdraw,
}

/// An effect that has not happened yet, or whose happening has not been noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the queue.
    pub position: i64,
    /// Which cluster it concerns.
    pub cluster: ClusterId,
    /// What is to happen.
    pub effect: Effect,
    /// How often it was tried.
    pub attempts: i32,
}

/// Adds an effect.
pub async fn push(tx: &mut Tx, cluster: ClusterId, effect: Effect, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into outbox (cluster_id, effect, run_after_ms, created_at_ms) values ($1, $2, $3, $3)",
        cluster.0,
        code::text(effect),
        now.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The effects that are due, oldest first.
pub async fn due(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<Message>, StoreError> {
    let rows = sqlx::query!(
        "select position, cluster_id, effect, attempts from outbox
         where run_after_ms <= $1 order by position limit $2",
        now.0,
        i64::from(limit)
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Message {
                position: row.position,
                cluster: ClusterId(row.cluster_id),
                effect: code::parse("effect", &row.effect)?,
                attempts: row.attempts,
            })
        })
        .collect()
}

/// Removes an effect that has happened.
pub async fn delivered(tx: &mut Tx, position: i64) -> Result<(), StoreError> {
    sqlx::query!("delete from outbox where position = $1", position).execute(tx.conn()).await?;
    Ok(())
}

/// Puts an effect off after a failed attempt.
pub async fn retry(tx: &mut Tx, position: i64, run_after: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "update outbox set attempts = attempts + 1, run_after_ms = $2 where position = $1",
        position,
        run_after.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
