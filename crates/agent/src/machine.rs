//! The machine: from what is wanted and what was seen to what to do next, with a little memory and no I/O.
//!
//! It remembers for `planner`, which decides: which actions are under way and until when their effect is waited for,
//! what failed and how long it is left alone, how often a broker ended soon after its start. It is told the time. The
//! same machine runs behind child processes, pods and a simulated world.
//!
//! Invariants: an action is handed out at most once until its effect is seen, its failure is reported, or its time is
//! over; an observation that is older than one already considered changes nothing; in debug builds every decision
//! is held against [`planner::verify()`].

mod learn;
mod outcome;

use model::{Action, ClusterIntent, Observed, Timestamp};
use planner::memory::{InFlight, Span, Target};
use planner::{Decision, Memory};

use crate::substrate::{Performed, SubstrateError};

/// The agent of one cluster, without its hands and eyes.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    memory: Memory,
}

impl Machine {
    /// A machine that remembers nothing: that of a new cluster, or of an agent that was restarted.
    #[must_use]
    pub fn new() -> Machine {
        Machine::default()
    }

    /// Takes in an observation and decides. Every action of the decision must be attempted and its outcome, when there
    /// is one, reported to [`Machine::finished`].
    #[must_use]
    pub fn step(&mut self, now: Timestamp, intent: &ClusterIntent, seen: &Observed) -> Decision {
        learn::learn(&mut self.memory, now, intent, seen);
        let decision = planner::decide(intent, seen, &self.memory, now);
        if cfg!(debug_assertions) {
            let broken = planner::verify(intent, seen, &self.memory, now, &decision);
            assert!(
                broken.is_empty(),
                "the decision breaks rules: {broken:#?}\nintent: {intent:#?}\nseen: {seen:#?}\nmemory: {:#?}",
                self.memory
            );
        }
        for action in &decision.actions {
            self.hand_out(now, action);
        }
        self.memory.said = Some(decision.report.clone());
        decision
    }

    /// Takes in how an action ended.
    pub fn finished(&mut self, now: Timestamp, action: &Action, outcome: &Result<Performed, SubstrateError>) {
        outcome::finished(&mut self.memory, now, action, outcome);
    }

    /// What it remembers, for a person who asks why.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    fn hand_out(&mut self, now: Timestamp, action: &Action) {
        let past = action.broker().and_then(|broker| self.memory.brokers.get(&broker));
        let before = past.and_then(|past| past.incarnation.clone());
        // Whoever performs gives up after this time and says so; the margin lets that arrive first.
        let lasts = planner::cluster::patience(action) + outcome::MARGIN;
        let in_flight = InFlight { action: action.clone(), before, patience: Span { from: now, lasts } };
        self.memory.in_flight.insert(Target::of(action), in_flight);
    }
}

#[cfg(test)]
mod tests;
