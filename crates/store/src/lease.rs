//! Leases: what only one process may do at a time.
//!
//! A lease alone is not enough: its holder may be stopped for a minute and write on, long after somebody else took
//! over. Therefore every transaction that acts for the holder begins with [`pin`], which fails if the lease has moved
//! on, and otherwise keeps it from moving until the transaction ends.

use std::time::Duration;

use uuid::Uuid;

use crate::{StoreError, Tx};

/// A lease as its holder knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub name: String,
    /// Who holds it.
    pub holder: Uuid,
    /// The how-manieth holder this is.
    pub generation: i64,
}

/// Takes a lease that is free or whose holder has let it expire; none if somebody holds it.
pub async fn acquire(
    tx: &mut Tx,
    name: &str,
    holder: Uuid,
    valid_for: Duration,
) -> Result<Option<Lease>, StoreError> {
    let row = sqlx::query!(
        "insert into leases (name, holder, generation, expires_at)
         values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
         on conflict (name) do update
             set holder = excluded.holder, generation = leases.generation + 1, expires_at = excluded.expires_at
             where leases.expires_at < clock_timestamp()
         returning generation",
        name,
        holder,
        valid_for.as_secs_f64()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Lease { name: name.to_owned(), holder, generation: row.generation }))
}

/// Prolongs a lease; says whether it was still held. It is, even after its expiry, as long as nobody else took it.
pub async fn renew(tx: &mut Tx, lease: &Lease, valid_for: Duration) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update leases set expires_at = clock_timestamp() + make_interval(secs => $4)
         where name = $1 and holder = $2 and generation = $3",
        lease.name,
        lease.holder,
        lease.generation,
        valid_for.as_secs_f64()
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Gives back whatever lease of the name this holder has, so that the next one need not wait for its expiry.
pub async fn release_held(tx: &mut Tx, name: &str, holder: Uuid) -> Result<(), StoreError> {
    sqlx::query!("update leases set expires_at = '-infinity' where name = $1 and holder = $2", name, holder)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Fails with [`StoreError::LeaseLost`] unless the lease is still this holder's; if it is, it stays so until the
/// transaction ends.
pub(crate) async fn pin(tx: &mut Tx, lease: &Lease) -> Result<(), StoreError> {
    let row = sqlx::query!(
        "select generation from leases where name = $1 and holder = $2 and generation = $3 for share",
        lease.name,
        lease.holder,
        lease.generation
    )
    .fetch_optional(tx.conn())
    .await?;
    if row.is_some() { Ok(()) } else { Err(StoreError::LeaseLost) }
}
