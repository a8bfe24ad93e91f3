//! Answers to requests that carried an idempotency key, written in the transaction of the request itself: the effect
//! and the memory of it are there together or not at all.

use model::{AccountId, Timestamp};
use serde_json::Value;

use crate::{StoreError, Tx};

/// What a key says about a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The first request with this key; [`remember`] its answer before committing.
    First,
    /// The same request was answered before.
    Before {
        /// With this.
        answer: Value,
    },
    /// Another request was made with this key.
    Different,
}

/// Claims a key for a request. While another transaction has claimed it and not ended, this waits for it.
pub async fn claim(
    tx: &mut Tx,
    account: AccountId,
    key: &str,
    fingerprint: &[u8; 32],
    now: Timestamp,
) -> Result<Seen, StoreError> {
    let inserted = sqlx::query!(
        "insert into idempotency_keys (account_id, key, fingerprint, created_at_ms) values ($1, $2, $3, $4)
         on conflict (account_id, key) do nothing",
        account.0,
        key,
        &fingerprint[..],
        now.0
    )
    .execute(tx.conn())
    .await?;
    if inserted.rows_affected() > 0 {
        return Ok(Seen::First);
    }
    let row = sqlx::query!(
        "select fingerprint, answer from idempotency_keys where account_id = $1 and key = $2",
        account.0,
        key
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(match row {
        Some(row) if row.fingerprint == fingerprint => {
            Seen::Before { answer: row.answer.unwrap_or(Value::Null) }
        }
        // Pruned between the two statements: the key is as old as the retention, so it is not this request's.
        _ => Seen::Different,
    })
}

/// Stores the answer to the request that claimed the key.
pub async fn remember(tx: &mut Tx, account: AccountId, key: &str, answer: &Value) -> Result<(), StoreError> {
    sqlx::query!(
        "update idempotency_keys set answer = $3 where account_id = $1 and key = $2",
        account.0,
        key,
        answer
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Deletes keys from before `before`; at most `limit` at a time.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from idempotency_keys where ctid = any(array(
             select ctid from idempotency_keys where created_at_ms < $1 limit $2))",
        before.0,
        i64::from(limit)
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
