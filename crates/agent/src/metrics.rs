//! What is counted about the agents of one process. Labels are kinds and outcomes, never clusters: there may be ten
//! thousand of those.

use model::Action;
use prometheus::{IntCounter, IntCounterVec, IntGauge};
use telemetry::Registry;

use crate::substrate::{Performed, SubstrateError};

/// Counters of all agents of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    agents: IntGauge,
    steps: IntCounterVec,
    actions: IntCounterVec,
    underway: IntGauge,
    held: IntGauge,
    restarts: IntCounter,
}

impl Metrics {
    /// Registers the counters.
    #[must_use]
    pub fn register(registry: &Registry) -> Metrics {
        Metrics {
            agents: registry.gauge("penstock_agent_clusters", "Clusters that an agent of this process follows"),
            steps: registry.counters(
                "penstock_agent_steps_total",
                "Decisions, by what they were made from: seen (an observation), blind (nothing could be observed)",
                &["sight"],
            ),
            actions: registry.counters(
                "penstock_agent_actions_total",
                "Actions that ended, by kind and outcome: done, unneeded, blocked (somebody must act), failed (tried again)",
                &["action", "outcome"],
            ),
            underway: registry.gauge("penstock_agent_actions_in_flight", "Actions that are being carried out"),
            held: registry.gauge(
                "penstock_agent_held",
                "Brokers (and rests of clusters) that are left alone for a while because the last action on them failed",
            ),
            restarts: registry.counter(
                "penstock_agent_driver_restarts_total",
                "Drivers that broke down by a mistake of ours and were started again",
            ),
        }
    }

    pub(crate) fn stepped(&self, seen: bool) {
        self.steps.with_label_values(&[if seen { "seen" } else { "blind" }]).inc();
    }

    pub(crate) fn ended(&self, action: &Action, outcome: &Result<Performed, SubstrateError>) {
        let kind = match action {
            Action::Start(_) => "start",
            Action::Restart { .. } => "restart",
            Action::Stop { .. } => "stop",
            Action::RemoveBroker { .. } => "remove-broker",
            Action::RemoveRest => "remove-rest",
        };
        let outcome = match outcome {
            Ok(Performed::Done) => "done",
            Ok(Performed::Unneeded) => "unneeded",
            Err(SubstrateError::Blocked { .. }) => "blocked",
            Err(SubstrateError::Transient { .. }) => "failed",
        };
        self.actions.with_label_values(&[kind, outcome]).inc();
    }

    pub(crate) fn driver_restarted(&self) {
        self.restarts.inc();
    }

    /// What one driver adds to the gauges, until it ends in whatever way.
    pub(crate) fn share(&self) -> Share {
        self.agents.inc();
        Share { metrics: self.clone(), underway: 0, held: 0 }
    }
}

impl Default for Metrics {
    /// Counters that nobody reads.
    fn default() -> Metrics {
        Metrics::register(&Registry::new())
    }
}

/// One driver's part of the gauges.
#[derive(Debug)]
pub(crate) struct Share {
    metrics: Metrics,
    underway: i64,
    held: i64,
}

impl Share {
    pub(crate) fn underway(&mut self, actions: usize) {
        replace(&self.metrics.underway, &mut self.underway, actions);
    }

    pub(crate) fn held(&mut self, targets: usize) {
        replace(&self.metrics.held, &mut self.held, targets);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.underway(0);
        self.held(0);
        self.metrics.agents.dec();
    }
}

fn replace(gauge: &IntGauge, counted: &mut i64, now: usize) {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    gauge.add(now - *counted);
    *counted = now;
}
