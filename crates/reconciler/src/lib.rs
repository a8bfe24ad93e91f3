//! The loop between the store and the agents: it hands over what is wanted, writes down what is said, and finishes
//! what use cases have begun.
//!
//! Any number of servers run a [`Reconciler`]; a lease in Postgres lets one of them lead. Each write of the leader
//! pins the lease in its own transaction, so one that was stopped and wakes up late writes nothing.
//!
//! Work is split into tasks, one file each under [`task`]. A task takes no arguments: a wake-up only says "look again",
//! and the task then looks at everything that is its own. There is therefore one path, taken on the happy day, after a
//! crash and on a second server; a wake-up that is lost costs a poll interval. Everything a task does may be done
//! twice.
//!
//! What it deliberately does not know: how brokers are run (it only sees [`agent::Dispatch`]) and in which order a
//! change is carried out. What it concludes from a status is in [`judge`], which is pure.
//!
//! When Postgres is away the tasks wait for it; brokers and their agents do not notice.

mod judge;
mod leader;
mod metrics;
mod outage;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use agent::Dispatch;
use control::Control;
use model::Timestamp;
use store::Store;
use telemetry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use metrics::Metrics;

use leader::Leader;
use outage::Outage;

/// The name of the lease.
const LEASE: &str = "reconciler";

/// Intervals; the defaults are for production.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a leader that says nothing is still believed in: how long a crash of it delays the work, so rather
    /// short; but several renewals long, so that one slow query does not cost the lead.
    pub lease_valid_for: Duration,
    /// How often a task looks when nobody wakes it: the price of a lost notification.
    pub poll_every: Duration,
    /// How often jobs are looked for: the finest grain of their pauses.
    pub jobs_every: Duration,
    /// The pause after a failure of Postgres or of the agents.
    pub pause_after_failure: Duration,
    /// How often old rows are deleted.
    pub prune_every: Duration,
    /// How often it is counted what is unfinished: finer than any alert needs.
    pub take_stock_every: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            lease_valid_for: Duration::from_secs(10),
            poll_every: Duration::from_secs(5),
            jobs_every: Duration::from_secs(1),
            pause_after_failure: Duration::from_secs(1),
            prune_every: Duration::from_secs(600),
            take_stock_every: Duration::from_secs(10),
        }
    }
}

/// The reconciler of one process.
pub struct Reconciler<D> {
    store: Store,
    control: Control,
    dispatch: D,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    config: Config,
    holder: Uuid,
    outage: Outage,
    metrics: Metrics,
}

impl<D: Dispatch> Reconciler<D> {
    /// A reconciler that leads when it gets the lease. `now` is the process's clock.
    pub fn new(
        store: Store,
        control: Control,
        dispatch: D,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        config: Config,
    ) -> Reconciler<D> {
        Reconciler {
            store,
            control,
            dispatch,
            now: Arc::new(now),
            config,
            // A holder is one process's life: after a restart it is somebody else, who waits like anybody else.
            holder: Uuid::new_v4(),
            outage: Outage::default(),
            metrics: Metrics::register(&Registry::new()),
        }
    }

    /// The same, counting in this registry.
    #[must_use]
    pub fn measured(self, registry: &Registry) -> Reconciler<D> {
        Reconciler { metrics: Metrics::register(registry), ..self }
    }

    /// Leads or stands by until cancelled. Never ends by itself, whatever happens to Postgres or the agents.
    pub async fn run(&self, cancel: CancellationToken) {
        let (wake, woken) = watch::channel(());
        let listen = self.listen(wake);
        let lead = self.lead_when_possible(woken);
        // The futures of all tasks together are large; on the heap they cost the caller's stack nothing.
        let work = Box::pin(async { tokio::join!(listen, lead) });
        cancel.run_until_cancelled(work).await;
        self.step_down().await;
    }

    /// Turns notifications of Postgres into wake-ups.
    async fn listen(&self, wake: watch::Sender<()>) {
        loop {
            let outcome = async {
                let mut wakes = self.store.wakes().await?;
                // What was notified before listening began is found by looking once.
                wake.send_replace(());
                loop {
                    wakes.next().await?;
                    wake.send_replace(());
                }
            };
            let outcome: Result<(), store::StoreError> = outcome.await;
            self.outage.note("listen for changes", &outcome);
            tokio::time::sleep(self.config.pause_after_failure).await;
        }
    }

    async fn lead_when_possible(&self, woken: watch::Receiver<()>) {
        // Standing by, a third of the validity finds an expired lease soon enough.
        let try_every = self.config.lease_valid_for / 3;
        loop {
            let lease = self.acquire().await;
            self.outage.note("ask for the lead", &lease);
            if let Ok(Some(lease)) = lease {
                tracing::info!(lease.generation = lease.generation, "leading the reconciliation");
                self.metrics.leading(true);
                Leader::new(self, lease, woken.clone()).run().await;
                self.metrics.leading(false);
                tracing::info!("not leading any more: another server has taken over");
            }
            tokio::time::sleep(try_every).await;
        }
    }

    async fn acquire(&self) -> Result<Option<store::Lease>, store::StoreError> {
        let mut tx = self.store.begin().await?;
        let lease = store::lease::acquire(&mut tx, LEASE, self.holder, self.config.lease_valid_for).await?;
        tx.commit().await?;
        Ok(lease)
    }

    /// Lets another server lead at once instead of after the lease's expiry.
    async fn step_down(&self) {
        self.metrics.leading(false);
        let released = async {
            let mut tx = self.store.begin().await?;
            store::lease::release_held(&mut tx, LEASE, self.holder).await?;
            tx.commit().await
        };
        if let Err(error) = released.await {
            tracing::info!(%error, "the lead could not be given back; it expires by itself");
        }
    }
}
