//! What is counted about the reconciler. Backlogs are gauges that the leader alone sets, every few seconds: summing them
//! over servers gives the installation's.

use std::time::Duration;

use agent::DispatchError;
use model::Timestamp;
use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};
use store::StoreError;
use store::backlog::Backlog;
use telemetry::Registry;

/// Counters of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    leading: IntGauge,
    tasks: IntCounterVec,
    task_seconds: HistogramVec,
    waiting: IntGaugeVec,
    oldest_seconds: IntGaugeVec,
    jobs_dead: IntGauge,
    jobs: IntCounterVec,
    told: IntCounterVec,
    statuses: IntCounterVec,
    changes: IntCounterVec,
}

impl Metrics {
    /// Registers the counters.
    #[must_use]
    pub fn register(registry: &Registry) -> Metrics {
        Metrics {
            leading: registry.gauge("penstock_reconciler_leading", "1 while this server holds the lease"),
            tasks: registry.counters(
                "penstock_reconciler_tasks_total",
                "Runs of tasks, by outcome: ok, unavailable (Postgres is away), contended, lease-lost, failed",
                &["task", "outcome"],
            ),
            task_seconds: registry.latencies(
                "penstock_reconciler_task_seconds",
                "How long a run of a task takes",
                &["task"],
            ),
            waiting: registry.gauges(
                "penstock_reconciler_waiting",
                "What waits to be done: jobs, effects of the outbox, operations, intents that no agent has taken; 0 on servers that do not lead",
                &["what"],
            ),
            oldest_seconds: registry.gauges(
                "penstock_reconciler_oldest_waiting_seconds",
                "Age of the oldest job or effect that waits",
                &["what"],
            ),
            jobs_dead: registry.gauge(
                "penstock_reconciler_jobs_dead",
                "Jobs that were given up within the last week",
            ),
            jobs: registry.counters(
                "penstock_reconciler_jobs_total",
                "Attempts at jobs, by kind and end: done, again, never",
                &["kind", "end"],
            ),
            told: registry.counters(
                "penstock_reconciler_told_total",
                "What agents answered when an intent was published or a cluster withdrawn: ok, superseded, different, refused, unavailable",
                &["what", "answer"],
            ),
            statuses: registry.counters(
                "penstock_reconciler_statuses_total",
                "Statuses that agents reported: stored, old (something newer is stored), lost (no intent is followed)",
                &["outcome"],
            ),
            changes: registry.counters(
                "penstock_reconciler_resource_changes_total",
                "Changes of a resource's state, by the new state",
                &["to"],
            ),
        }
    }

    pub(crate) fn leading(&self, leading: bool) {
        self.leading.set(i64::from(leading));
        if !leading {
            // The new leader counts them from now on.
            self.backlog(&Backlog::default(), Timestamp(0));
        }
    }

    pub(crate) fn ran(&self, task: &str, took: Duration, outcome: &Result<(), StoreError>) {
        let outcome = match outcome {
            Ok(()) => "ok",
            Err(StoreError::Unavailable(_)) => "unavailable",
            Err(StoreError::Contended(_)) => "contended",
            Err(StoreError::LeaseLost) => "lease-lost",
            Err(_) => "failed",
        };
        self.tasks.with_label_values(&[task, outcome]).inc();
        self.task_seconds.with_label_values(&[task]).observe(took.as_secs_f64());
    }

    pub(crate) fn backlog(&self, backlog: &Backlog, now: Timestamp) {
        for (what, count) in [
            ("jobs", backlog.jobs_waiting),
            ("effects", backlog.outbox_waiting),
            ("operations", backlog.operations_unfinished),
            ("intents", backlog.intents_unpublished),
        ] {
            self.waiting.with_label_values(&[what]).set(count);
        }
        for (what, oldest) in [("jobs", backlog.oldest_job), ("effects", backlog.oldest_effect)] {
            let age = oldest.map_or(0, |oldest| now.since(oldest).as_secs());
            self.oldest_seconds.with_label_values(&[what]).set(i64::try_from(age).unwrap_or(i64::MAX));
        }
        self.jobs_dead.set(backlog.jobs_dead);
    }

    pub(crate) fn job_tried(&self, kind: &str, end: &control::JobEnd) {
        let end = match end {
            control::JobEnd::Done => "done",
            control::JobEnd::Again { .. } => "again",
            control::JobEnd::Never(_) => "never",
        };
        self.jobs.with_label_values(&[kind, end]).inc();
    }

    pub(crate) fn told(&self, what: &str, answer: &Result<(), DispatchError>) {
        let answer = match answer {
            Ok(()) => "ok",
            Err(DispatchError::Superseded { .. }) => "superseded",
            Err(DispatchError::Different { .. }) => "different",
            Err(DispatchError::Refused { .. }) => "refused",
            Err(DispatchError::Unavailable { .. }) => "unavailable",
        };
        self.told.with_label_values(&[what, answer]).inc();
    }

    pub(crate) fn status(&self, outcome: &str) {
        self.statuses.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn changed(&self, to: model::resource::State) {
        // The word that the API shows.
        let word = serde_json::to_value(to).ok();
        let word = word.as_ref().and_then(serde_json::Value::as_str).unwrap_or("unknown");
        self.changes.with_label_values(&[word]).inc();
    }
}
