//! The loop around the machine: look, decide, act, wait. One for each cluster.
//!
//! Whatever wakes it is only a hint: it then looks at everything. It holds no state of its own beyond the actions
//! under way, so ending it at any moment loses nothing that the next one does not see for itself.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::{Action, ClusterId, ClusterIntent, ClusterStatus, Observed};
use planner::verify::brief;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::substrate::{Performed, Substrate, SubstrateError};

/// Least time between two looks, however often something claims to have changed. Too short for a person or a client
/// to notice, and long enough that a substrate which cries wolf costs a few percent of a core at most.
const LEAST_PAUSE: Duration = Duration::from_millis(5);

/// What a driver works with.
#[derive(Clone, Debug)]
pub struct Driver<S, C> {
    /// Where the brokers are.
    pub substrate: S,
    /// Where time comes from.
    pub clock: C,
    /// Which cluster.
    pub cluster: ClusterId,
    /// What is wanted. Its sender sees to it that generations only grow; its end ends the driver.
    pub intents: watch::Receiver<ClusterIntent>,
    /// What is counted about it.
    pub metrics: Metrics,
}

impl<S: Substrate, C: Clock> Driver<S, C> {
    /// Drives the cluster until the sender of its intents is dropped. Every status is handed to `say`.
    pub async fn run(mut self, say: impl Fn(ClusterStatus)) {
        let (substrate, clock, cluster) = (&self.substrate, &self.clock, self.cluster);
        let metrics = self.metrics.clone();
        let mut share = metrics.share();
        let mut machine = Machine::new();
        let mut underway = FuturesUnordered::new();
        let mut blind: Option<String> = None;
        loop {
            let looked_at = clock.now();
            let mut missed = false;
            let look = substrate.observe(cluster);
            tokio::pin!(look);
            let seen = loop {
                tokio::select! {
                    seen = &mut look => break seen,
                    // Actions go on while we look. What we see may be older than their end: look once more.
                    Some((action, outcome)) = underway.next() => {
                        metrics.ended(&action, &outcome);
                        finished(&mut machine, clock, cluster, &action, &outcome);
                        missed = true;
                    }
                }
            };
            let failure = seen.as_ref().err().map(SubstrateError::sentence);
            // Once for each failure, not once for each look that it spoils.
            if let Some(failure) = failure.as_ref().filter(|failure| blind.as_ref() != Some(failure)) {
                tracing::warn!(cluster.id = %cluster, "looking at cluster {cluster} failed: {failure}");
            }
            blind = failure;
            metrics.stepped(blind.is_none());
            let seen = seen.unwrap_or_else(|error| Observed::blind(looked_at, error.sentence()));
            let intent = self.intents.borrow_and_update().clone();
            let decision = machine.step(clock.now(), &intent, &seen);
            say(decision.report);
            for action in decision.actions {
                tracing::info!(cluster.id = %cluster, cluster.name = %intent.name, "{}", brief(&action));
                underway.push(perform(substrate, clock, cluster, action));
            }
            share.underway(underway.len());
            share.held(machine.memory().holds.len());
            let wake_at = if missed { looked_at } else { decision.wake_at };
            tokio::select! {
                Some((action, outcome)) = underway.next() => {
                    metrics.ended(&action, &outcome);
                    finished(&mut machine, clock, cluster, &action, &outcome);
                }
                changed = self.intents.changed() => if changed.is_err() { return },
                () = substrate.changed(cluster) => {}
                () = clock.sleep_until(wake_at) => {}
            }
            clock.sleep_until(looked_at.plus(LEAST_PAUSE)).await;
        }
    }
}

/// Acts, for as long as the action may take.
async fn perform<S: Substrate, C: Clock>(
    substrate: &S,
    clock: &C,
    cluster: ClusterId,
    action: Action,
) -> (Action, Result<Performed, SubstrateError>) {
    let patience = planner::cluster::patience(&action);
    let outcome = tokio::select! {
        outcome = substrate.perform(cluster, &action) => outcome,
        () = clock.sleep_until(clock.now().plus(patience)) => {
            Err(SubstrateError::transient("gave up waiting", format!("not done after {} s", patience.as_secs())))
        }
    };
    (action, outcome)
}

fn finished<C: Clock>(
    machine: &mut Machine,
    clock: &C,
    cluster: ClusterId,
    action: &Action,
    outcome: &Result<Performed, SubstrateError>,
) {
    if let Err(error) = outcome {
        let sentence = error.sentence();
        tracing::warn!(cluster.id = %cluster, "could not {} of cluster {cluster}: {sentence}", brief(action));
    }
    machine.finished(clock.now(), action, outcome);
}
