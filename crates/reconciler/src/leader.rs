//! What the one reconciler that leads does: it runs every task until the lease is lost.

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use agent::Dispatch;
use futures_util::FutureExt;
use model::Timestamp;
use store::{Lease, StoreError, Tx};
use tokio::sync::watch;

use crate::Reconciler;

/// A leader, as its tasks see it.
pub(crate) struct Leader<'a, D> {
    pub(crate) reconciler: &'a Reconciler<D>,
    lease: Lease,
    woken: watch::Receiver<()>,
    /// Whether every intent was handed over once since this leader leads.
    pub(crate) all_published: AtomicBool,
}

/// Why a leader stops.
struct Deposed;

impl<'a, D: Dispatch> Leader<'a, D> {
    pub(crate) fn new(
        reconciler: &'a Reconciler<D>,
        lease: Lease,
        woken: watch::Receiver<()>,
    ) -> Leader<'a, D> {
        Leader { reconciler, lease, woken, all_published: AtomicBool::new(false) }
    }

    /// Runs all tasks at the same time, until the first of them finds that somebody else leads.
    pub(crate) async fn run(&self) {
        let config = &self.reconciler.config;
        let tasks = [
            self.renew().boxed(),
            self.collect_status().map(|()| Deposed).boxed(),
            self.repeat("tell the agents", config.poll_every, || self.tell_agents()).boxed(),
            self.repeat("advance operations", config.poll_every, || self.advance_operations()).boxed(),
            self.repeat("run jobs", config.jobs_every, || self.run_jobs()).boxed(),
            self.repeat("prune", config.prune_every, || self.prune()).boxed(),
        ];
        futures_util::future::select_all(tasks).await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.reconciler.now)()
    }

    /// A transaction that commits only while this leader leads.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        self.reconciler.store.begin_as(&self.lease).await
    }

    /// Publishes, then withdraws; never both at the same time, or an intent that was read a moment ago would bring a
    /// cluster back that was withdrawn since.
    async fn tell_agents(&self) -> Result<(), StoreError> {
        self.publish_intents().await?;
        self.deliver_outbox().await
    }

    /// Prolongs the lease. While Postgres is away nobody else can take it, so nothing is lost by leading on.
    async fn renew(&self) -> Deposed {
        let valid_for = self.reconciler.config.lease_valid_for;
        loop {
            tokio::time::sleep(valid_for / 3).await;
            let renewed = async {
                let mut tx = self.reconciler.store.begin().await?;
                let held = store::lease::renew(&mut tx, &self.lease, valid_for).await?;
                tx.commit().await?;
                Ok(held)
            };
            let renewed = renewed.await;
            self.reconciler.outage.note("renew the lease", &renewed);
            if let Ok(false) = renewed {
                return Deposed;
            }
        }
    }

    /// Runs a task now, whenever somebody wakes it, and in any case every so often.
    async fn repeat<F>(&self, name: &'static str, every: Duration, task: impl Fn() -> F) -> Deposed
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let mut woken = self.woken.clone();
        loop {
            woken.mark_unchanged();
            let outcome = task().await;
            self.reconciler.outage.note(name, &outcome);
            match outcome {
                Ok(()) => {
                    // An error of the timeout is the interval's end; one of the channel cannot be, since its sender
                    // lives as long as the reconciler.
                    let _ = tokio::time::timeout(every, woken.changed()).await;
                }
                Err(StoreError::LeaseLost) => return Deposed,
                Err(_) => tokio::time::sleep(self.reconciler.config.pause_after_failure).await,
            }
        }
    }
}
