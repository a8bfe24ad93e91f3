//! A registry of metrics whose constructors register, so that none is counted and never shown.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

/// Upper bounds in seconds that suit everything from a request in memory (tens of microseconds) to a slow disk.
pub const LATENCY_BUCKETS_SECONDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The metrics of one process, or of one part of it in a test.
#[derive(Clone, Debug, Default)]
pub struct Registry(prometheus::Registry);

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Registry {
        Registry::default()
    }

    fn add<M: Collector + Clone + 'static>(&self, metric: M) -> M {
        // Two metrics of one name are a mistake that the first start shows, and no reason to die in production.
        if let Err(error) = self.0.register(Box::new(metric.clone())) {
            tracing::error!(%error, "a metric could not be registered and will not be shown");
        }
        metric
    }

    /// Something that only grows.
    ///
    /// # Panics
    /// If `name` is no metric name: a mistake in the source.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help).expect("the name is a literal that fits"))
    }

    /// Counters told apart by labels of few values.
    ///
    /// # Panics
    /// If a name does not fit: a mistake in the source.
    #[must_use]
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels).expect("the names are literals that fit"))
    }

    /// Something that grows and shrinks.
    ///
    /// # Panics
    /// If `name` is no metric name: a mistake in the source.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help).expect("the name is a literal that fits"))
    }

    /// Gauges told apart by labels of few values.
    ///
    /// # Panics
    /// If a name does not fit: a mistake in the source.
    #[must_use]
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels).expect("the names are literals that fit"))
    }

    /// How long something takes, in seconds.
    ///
    /// # Panics
    /// If `name` is no metric name: a mistake in the source.
    #[must_use]
    pub fn latency(&self, name: &str, help: &str) -> Histogram {
        let opts = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS_SECONDS.to_vec());
        self.add(Histogram::with_opts(opts).expect("the name is a literal that fits"))
    }

    /// How long things take, told apart by labels of few values.
    ///
    /// # Panics
    /// If a name does not fit: a mistake in the source.
    #[must_use]
    pub fn latencies(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        let opts = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS_SECONDS.to_vec());
        self.add(HistogramVec::new(opts, labels).expect("the names are literals that fit"))
    }

    /// The page that `/metrics` serves.
    #[must_use]
    pub fn page(&self) -> String {
        crate::metrics::text(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_on_the_page() {
        let registry = Registry::new();
        registry.counter("requests_total", "Requests.").inc_by(3);
        registry.counters("errors_total", "Errors.", &["kind"]).with_label_values(&["io"]).inc();
        registry.latency("wait_seconds", "Waits.").observe(0.002);
        let page = registry.page();
        assert!(page.contains("requests_total 3"), "{page}");
        assert!(page.contains("errors_total{kind=\"io\"} 1"), "{page}");
        assert!(page.contains("wait_seconds_count 1"), "{page}");
    }
}
