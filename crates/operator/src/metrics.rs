//! What the operator counts. Labels have few values: never a cluster's name.

use std::time::Duration;

use agent::{Performed, SubstrateError};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
use telemetry::Registry;

/// The metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    reconcile_seconds: Histogram,
    refusals: IntCounterVec,
    status_writes: IntCounter,
    /// What the agents count.
    pub agents: agent::Metrics,
    /// Clusters that are followed.
    pub clusters: IntGauge,
    /// 1 while this instance leads.
    pub leads: IntGauge,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let registry = Registry::new();
        Metrics {
            reconciles: registry.counters(
                "penstock_operator_reconciles_total",
                "Passes over a cluster's object, by how they ended: ok, or who can help.",
                &["outcome"],
            ),
            reconcile_seconds: registry.latency(
                "penstock_operator_reconcile_seconds",
                "How long a pass over a cluster's object takes.",
            ),
            refusals: registry.counters(
                "penstock_operator_refusals_total",
                "Actions that were refused until somebody acts, by reason.",
                &["reason"],
            ),
            status_writes: registry.counter("penstock_operator_status_writes_total", "Statuses written."),
            clusters: registry.gauge("penstock_operator_clusters", "Clusters that are followed."),
            leads: registry.gauge("penstock_operator_leads", "1 while this instance holds the lease."),
            agents: agent::Metrics::register(&registry),
            registry,
        }
    }
}

impl Metrics {
    /// The page that `/metrics` serves.
    #[must_use]
    pub fn page(&self) -> String {
        self.registry.page()
    }

    /// Counts a pass.
    pub fn reconciled(&self, outcome: &str, took: Duration) {
        self.reconciles.with_label_values(&[outcome]).inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
    }

    /// Counts a status that was written.
    pub fn wrote_status(&self) {
        self.status_writes.inc();
    }

    /// Counts an action that was refused until somebody acts.
    pub fn performed(&self, outcome: Result<&Performed, &SubstrateError>) {
        if let Err(SubstrateError::Blocked { reason, .. }) = outcome {
            self.refusals.with_label_values(&[format!("{reason:?}").as_str()]).inc();
        }
    }
}
