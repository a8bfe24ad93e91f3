//! Connections and transactions.
//!
//! Postgres may be away when a process starts and at any moment after. Connections are therefore opened on demand,
//! waiting for one is bounded, and whatever says "away" becomes [`StoreError::Unavailable`].

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, PgPool, Postgres, Transaction};

use telemetry::Registry;
use tokio::time::Instant;

use crate::error::StoreError;
use crate::lease::{self, Lease};
use crate::metrics::Metrics;

/// Connections of one process. A use case holds one for a few milliseconds; sixteen serve some thousand a second and
/// leave room for several processes within Postgres' default of 100.
const MAX_CONNECTIONS: u32 = 16;

/// How long a use case waits for a connection. Beyond it, the caller learns that the database is away, early enough
/// to answer a client that itself gives up after five to ten seconds.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that nobody used for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Bounds that Postgres itself enforces, in milliseconds. No query of ours takes longer than some tens of them; one
/// that does waits for a lock or a failing disk, and its caller is better off with an error that says "later".
const STATEMENT_TIMEOUT_MS: &str = "5000";
const LOCK_TIMEOUT_MS: &str = "3000";

/// A transaction whose process has died or hangs lets go of its locks after so long.
const IDLE_IN_TRANSACTION_TIMEOUT_MS: &str = "10000";

/// The handle to Postgres; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    metrics: Metrics,
}

/// A transaction. Dropped without [`commit`](Tx::commit), it leaves no trace.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
}

impl Store {
    /// A handle for the database at a `postgres://` URL. Opens no connection yet.
    pub fn connect(url: &str) -> Result<Store, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(StoreError::from)?
            .application_name("penstock")
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT_MS),
                ("lock_timeout", LOCK_TIMEOUT_MS),
                ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT_MS),
            ])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Store { pool, metrics: Metrics::register(&Registry::new(), MAX_CONNECTIONS) })
    }

    /// The same, counting in this registry.
    #[must_use]
    pub fn measured(self, registry: &Registry) -> Store {
        Store { metrics: Metrics::register(registry, MAX_CONNECTIONS), ..self }
    }

    /// Brings the schema up to date. Safe to call from several processes at once: one migrates, the others wait.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        sqlx::migrate!("../../migrations").run(&self.pool).await.map_err(StoreError::from_migration)
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let start = Instant::now();
        let begun = self.pool.begin().await.map_err(StoreError::from);
        self.metrics.begun(self.pool.size(), self.pool.num_idle(), start.elapsed(), begun.as_ref().err());
        Ok(Tx { inner: begun? })
    }

    /// Begins a transaction that can only commit while the lease is held: until it ends, nobody can take the lease
    /// over, and if somebody already has, it fails with [`StoreError::LeaseLost`].
    pub async fn begin_as(&self, lease: &Lease) -> Result<Tx, StoreError> {
        let mut tx = self.begin().await?;
        lease::pin(&mut tx, lease).await?;
        Ok(tx)
    }

    /// Whether Postgres answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!("select 1 as one").fetch_one(tx.conn()).await?;
        tx.commit().await
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl Tx {
    /// Makes everything in it permanent. When the answer is lost on the way, the caller does not know whether it
    /// happened; that is what idempotency keys are for.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}
