//! Waking the reconciler. A notification carries nothing: it only says "look again", so that one that is lost, doubled
//! or late changes nothing but the moment. Whoever listens also looks now and then by itself.

use sqlx::postgres::PgListener;

use crate::{Store, StoreError, Tx};

const CHANNEL: &str = "penstock_reconciler";

/// Wakes the reconciler when the transaction commits. Several calls in one transaction wake it once.
pub async fn reconciler(tx: &mut Tx) -> Result<(), StoreError> {
    sqlx::query!("select pg_notify($1, '')", CHANNEL).execute(tx.conn()).await?;
    Ok(())
}

/// Wake-ups as they come.
#[derive(Debug)]
pub struct Wakes {
    listener: PgListener,
}

impl Store {
    /// Starts to listen for wake-ups, on a connection of its own.
    pub async fn wakes(&self) -> Result<Wakes, StoreError> {
        let mut listener = PgListener::connect_with(self.pool()).await?;
        listener.listen(CHANNEL).await?;
        Ok(Wakes { listener })
    }
}

impl Wakes {
    /// Waits for the next wake-up. After an error nothing more comes: listen again.
    pub async fn next(&mut self) -> Result<(), StoreError> {
        // `None` says that the connection was lost and is being made anew; what was missed meanwhile counts as one.
        self.listener.try_recv().await?;
        Ok(())
    }
}
