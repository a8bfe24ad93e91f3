//! Seam B: what brokers run on. A substrate sees and acts; it never decides.
//!
//! A substrate keeps four promises, on which the safety of every decision rests:
//!
//! 1. **Honest sight.** What could not be read is a gap in the observation, never an absence. [`Observed::at`] is the
//!    moment at which looking began.
//! 2. **Preconditions.** An action that names an incarnation touches no other. `Start` makes no second process beside
//!    a running one. `RemoveBroker` refuses while a process runs.
//! 3. **A last question.** Right before ending a process, `Restart` and `Stop` ask the broker itself and refuse if it
//!    checks its logs (unless `Stop` says that this does not matter): it may have begun since it was seen.
//! 4. **Repetition is harmless.** Performing an action twice does no more than performing it once, also when the first
//!    attempt was cut off in the middle.

use std::future::Future;

use model::action::BrokerSpec;
use model::{Action, ClusterId, Observed, Reason};
use thiserror::Error;

/// What became of an action that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Performed {
    /// It was carried out.
    Done,
    /// There was nothing to do: things are already so, or the incarnation that the action names is gone.
    Unneeded,
}

/// A look or an action failed. The two kinds differ in what helps.
#[derive(Debug, Error)]
pub enum SubstrateError {
    /// Only somebody else can help: install a release, free a port, repair a disk. Tried again rarely.
    #[error("{message}")]
    Blocked {
        /// The code under which it is reported.
        reason: Reason,
        /// What is wrong and what to do, as a sentence.
        message: String,
    },
    /// Trying again soon may help.
    #[error("{step}")]
    Transient {
        /// What was being done, as a sentence.
        step: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SubstrateError {
    /// Wraps a failure that may pass.
    pub fn transient(
        step: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> SubstrateError {
        SubstrateError::Transient { step: step.into(), source: source.into() }
    }

    /// The whole chain of causes as one sentence, for a condition.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut sentence = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(next) = cause {
            sentence.push_str(": ");
            sentence.push_str(&next.to_string());
            cause = next.source();
        }
        sentence
    }
}

/// Refuses what no substrate offers yet: more or fewer ways in than one, with client certificates. `offer` says in half a
/// sentence what the substrate gives and what to do.
///
/// # Errors
/// If the specification asks for something else.
pub fn one_listener(spec: &BrokerSpec, offer: &str) -> Result<(), SubstrateError> {
    match spec.listeners.as_slice() {
        [_] => Ok(()),
        listeners => Err(SubstrateError::Blocked {
            reason: Reason::BadConfiguration,
            message: format!("broker {} is to have {} listeners, and {offer}", spec.broker, listeners.len()),
        }),
    }
}

/// What brokers run on: child processes, pods, or a simulated world.
pub trait Substrate: Send + Sync {
    /// Looks at everything that belongs to a cluster. Bounded in time: what does not answer becomes a gap or an
    /// unknown readiness. An error means that nothing at all could be seen.
    fn observe(&self, cluster: ClusterId) -> impl Future<Output = Result<Observed, SubstrateError>> + Send;

    /// Carries out one action. The caller may drop the future and try again later.
    fn perform(
        &self,
        cluster: ClusterId,
        action: &Action,
    ) -> impl Future<Output = Result<Performed, SubstrateError>> + Send;

    /// Returns when something about the cluster may have changed since the last call returned, for instance when a
    /// process ended. Only a hint to look: it may return for nothing, and whoever waits looks now and then anyway.
    fn changed(&self, cluster: ClusterId) -> impl Future<Output = ()> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_every_cause_once() {
        let cause = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "permission denied");
        let error = SubstrateError::transient("could not write broker 0's configuration", cause);
        assert_eq!(error.to_string(), "could not write broker 0's configuration");
        assert_eq!(error.sentence(), "could not write broker 0's configuration: permission denied");
    }
}
