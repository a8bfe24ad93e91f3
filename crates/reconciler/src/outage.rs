//! One line when Postgres goes away and one when it is back, however many tasks notice.

use std::sync::atomic::{AtomicBool, Ordering};

use store::StoreError;

/// Whether Postgres was away when somebody last looked.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    away: AtomicBool,
}

impl Outage {
    /// Takes note of how a task fared. Defects are logged each time; they are not expected to repeat quietly.
    pub(crate) fn note<T>(&self, task: &str, outcome: &Result<T, StoreError>) {
        match outcome {
            Ok(_) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("Postgres answers again");
                }
            }
            Err(error) if error.is_unavailable() => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(cause, "Postgres does not answer; brokers go on, changes wait");
                }
            }
            // It is tried again after a pause, and nobody needs to know unless it goes on and on.
            Err(error @ StoreError::Contended(_)) => {
                let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                tracing::info!(task, cause, "a task of the reconciler made way for another transaction");
            }
            // The lead was lost: the leader says so.
            Err(StoreError::LeaseLost) => {}
            Err(error) => {
                let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(task, %error, cause, "a task of the reconciler failed");
            }
        }
    }
}
