//! What is counted about connections to Postgres. Each bound of [`crate::pool`] has its number here: connections
//! against their maximum, the wait for one, and how often it was in vain.

use std::time::Duration;

use prometheus::{Histogram, IntCounterVec, IntGauge};
use telemetry::Registry;

use crate::StoreError;

/// Counters of one process.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    open: IntGauge,
    idle: IntGauge,
    wait_seconds: Histogram,
    begun: IntCounterVec,
}

impl Metrics {
    /// Registers the counters. `most` is how many connections there may be.
    pub(crate) fn register(registry: &Registry, most: u32) -> Metrics {
        registry
            .gauge("penstock_store_connections_max", "Connections to Postgres that this process may open")
            .set(i64::from(most));
        Metrics {
            open: registry.gauge(
                "penstock_store_connections",
                "Connections to Postgres that were open when one was last asked for",
            ),
            idle: registry.gauge(
                "penstock_store_connections_idle",
                "Connections to Postgres that nobody used when one was last asked for",
            ),
            wait_seconds: registry.latency(
                "penstock_store_wait_seconds",
                "Time until a transaction had begun: waiting for a connection, opening one, one round trip",
            ),
            begun: registry.counters(
                "penstock_store_transactions_total",
                "Transactions asked for, by what became of the wish: begun, timed-out (no connection in time), unavailable, failed",
                &["outcome"],
            ),
        }
    }

    pub(crate) fn begun(&self, open: u32, idle: usize, waited: Duration, error: Option<&StoreError>) {
        self.open.set(i64::from(open));
        self.idle.set(i64::try_from(idle).unwrap_or(i64::MAX));
        self.wait_seconds.observe(waited.as_secs_f64());
        let outcome = match error {
            None => "begun",
            Some(StoreError::Unavailable(sqlx::Error::PoolTimedOut)) => "timed-out",
            Some(StoreError::Unavailable(_)) => "unavailable",
            Some(_) => "failed",
        };
        self.begun.with_label_values(&[outcome]).inc();
    }
}
