//! What is counted about requests to the API server and about the watch.

use prometheus::{IntCounter, IntCounterVec, IntGauge};
use telemetry::Registry;

use crate::request::Failure;

/// Counters of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    repeats: IntCounter,
    watching: IntGauge,
    watch_failures: IntCounterVec,
    lists: IntCounter,
    followed: IntGauge,
    unreadable: IntCounter,
}

impl Metrics {
    /// Registers the counters.
    #[must_use]
    pub fn register(registry: &Registry) -> Metrics {
        Metrics {
            requests: registry.counters(
                "penstock_kube_requests_total",
                "Requests to the API server for KafkaCluster objects, by verb and outcome; watches are counted apart",
                &["verb", "outcome"],
            ),
            repeats: registry.counter(
                "penstock_kube_repeats_total",
                "Attempts to publish or delete an object that were repeated after a conflict or an answer that says later",
            ),
            watching: registry.gauge(
                "penstock_kube_watching",
                "1 while changes of KafkaCluster objects arrive, 0 while statuses are growing old",
            ),
            watch_failures: registry.counters(
                "penstock_kube_watch_failures_total",
                "Interruptions of the watch, by cause; gone means that everything was listed anew",
                &["cause"],
            ),
            lists: registry.counter(
                "penstock_kube_lists_total",
                "How often all objects were listed: at the start and when the watch lost its place",
            ),
            followed: registry.gauge("penstock_kube_followed_clusters", "KafkaCluster objects that are followed"),
            unreadable: registry.counter(
                "penstock_kube_unreadable_total",
                "Objects or statuses that could not be understood",
            ),
        }
    }

    pub(crate) fn answered(&self, verb: &str, failure: Option<&Failure>) {
        let outcome = match failure {
            None => "ok",
            Some(Failure::Absent(_)) => "absent",
            Some(Failure::Conflict(_)) => "conflict",
            Some(Failure::Refused(_)) => "refused",
            Some(Failure::Later { .. }) => "later",
        };
        self.requests.with_label_values(&[verb, outcome]).inc();
    }

    pub(crate) fn repeated(&self) {
        self.repeats.inc();
    }

    pub(crate) fn watching(&self, watching: bool) {
        self.watching.set(i64::from(watching));
    }

    pub(crate) fn watch_failed(&self, cause: &str) {
        self.watch_failures.with_label_values(&[cause]).inc();
    }

    pub(crate) fn listed(&self) {
        self.lists.inc();
    }

    pub(crate) fn followed(&self, clusters: usize) {
        self.followed.set(i64::try_from(clusters).unwrap_or(i64::MAX));
    }

    pub(crate) fn unreadable(&self) {
        self.unreadable.inc();
    }
}
