//! What was said about clusters over time. A row is written when the summary changes, not on every report, so that a
//! quiet cluster costs nothing and a person can read what happened.

use model::{ClusterId, ClusterStatus, Timestamp};
use sqlx::types::Json;

use crate::{StoreError, Tx};

/// Keeps a status if its summary differs from the last one kept of the cluster.
pub async fn keep_if_new(tx: &mut Tx, status: &ClusterStatus, summary: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into observations (cluster_id, at_ms, generation, summary, status)
         select $1, $2, $3, $4, $5
         where $4 is distinct from (
             select summary from observations where cluster_id = $1 order by at_ms desc limit 1)
         on conflict (cluster_id, at_ms) do update
             set generation = excluded.generation, summary = excluded.summary, status = excluded.status",
        status.cluster.0,
        status.at.0,
        status.observed_generation.0,
        summary,
        Json(status) as _
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The summaries kept of a cluster, newest first.
pub async fn history(
    tx: &mut Tx,
    cluster: ClusterId,
    limit: u32,
) -> Result<Vec<(Timestamp, String)>, StoreError> {
    let rows = sqlx::query!(
        "select at_ms, summary from observations where cluster_id = $1 order by at_ms desc limit $2",
        cluster.0,
        i64::from(limit)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (Timestamp(row.at_ms), row.summary)).collect())
}

/// Deletes what is older than `before`; at most `limit` rows at a time.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from observations where ctid = any(array(
             select ctid from observations where at_ms < $1 limit $2))",
        before.0,
        i64::from(limit)
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
