//! What the one reconciler that leads does: it runs every task until the lease is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent::Dispatch;
use futures_util::FutureExt;
use model::{ClusterId, Generation, Timestamp};
use store::{Lease, StoreError, Tx};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Reconciler;

/// A leader, as its tasks see it.
pub(crate) struct Leader<'a, D> {
    pub(crate) reconciler: &'a Reconciler<D>,
    lease: Lease,
    woken: watch::Receiver<()>,
    /// Wakes the tasks of this leader that wait for their next look.
    again: Notify,
    /// Whether every intent was handed over once since this leader leads.
    pub(crate) all_published: AtomicBool,
    /// Clusters whose intent was taken once and must be handed over again. A plain mutex: it is held for an operation on
    /// the set and never across an await.
    to_publish_again: Mutex<BTreeSet<ClusterId>>,
    /// Why the newest intent of a cluster was not taken, as it was last said; forgotten when it is taken.
    complaints: Mutex<BTreeMap<ClusterId, (Generation, String)>>,
}

/// Why a leader stops.
struct Deposed;

impl<'a, D: Dispatch> Leader<'a, D> {
    pub(crate) fn new(
        reconciler: &'a Reconciler<D>,
        lease: Lease,
        woken: watch::Receiver<()>,
    ) -> Leader<'a, D> {
        Leader {
            reconciler,
            lease,
            woken,
            again: Notify::new(),
            all_published: AtomicBool::new(false),
            to_publish_again: Mutex::default(),
            complaints: Mutex::default(),
        }
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
            self.repeat("take stock", config.take_stock_every, || self.take_stock()).boxed(),
        ];
        futures_util::future::select_all(tasks).await;
    }

    pub(crate) fn to_publish_again(&self) -> MutexGuard<'_, BTreeSet<ClusterId>> {
        self.to_publish_again.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn complaints(&self) -> MutexGuard<'_, BTreeMap<ClusterId, (Generation, String)>> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets waiting tasks look now. One that is not waiting looks a poll interval later.
    pub(crate) fn look_again(&self) {
        self.again.notify_waiters();
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
            let start = Instant::now();
            let outcome = task().await;
            self.reconciler.metrics.ran(name, start.elapsed(), &outcome);
            self.reconciler.outage.note(name, &outcome);
            match outcome {
                Ok(()) => {
                    tokio::select! {
                        () = tokio::time::sleep(every) => {}
                        () = self.again.notified() => {}
                        // It cannot end, since its sender lives as long as the reconciler.
                        _ = woken.changed() => {}
                    }
                }
                Err(StoreError::LeaseLost) => return Deposed,
                Err(_) => tokio::time::sleep(self.reconciler.config.pause_after_failure).await,
            }
        }
    }
}
