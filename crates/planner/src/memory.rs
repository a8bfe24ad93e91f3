//! What must be remembered of a cluster from one decision to the next.
//!
//! Memory holds only what an observation cannot show: when something was tried, how often it failed, since when a
//! wait lasts. Where a rolling restart stands is *not* in it: that is read from the fingerprints of the running
//! brokers. Losing the memory (the agent was restarted) therefore costs at most an early retry and a younger `since`,
//! never a second disruption. It is small: bounded by the number of brokers, not by time.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Action, BrokerId, ClusterStatus, Reason, Timestamp};

/// A stretch of time that ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from: Timestamp,
    /// Its length.
    pub lasts: Duration,
}

impl Span {
    /// When it is over.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.from.plus(self.lasts)
    }

    /// Whether it is over. A clock that was set back to before the beginning ends it too: otherwise a correction by a
    /// day would hold a broker down for a day.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        now < self.from || now >= self.end()
    }
}

/// What an action touches. At most one action for each of these is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One broker.
    Broker(BrokerId),
    /// What the cluster has beyond its brokers.
    Rest,
}

impl Target {
    /// What the action touches.
    #[must_use]
    pub fn of(action: &Action) -> Target {
        action.broker().map_or(Target::Rest, Target::Broker)
    }
}

/// An action that was handed out and whose effect has not been seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// The action.
    pub action: Action,
    /// The broker's start that was last seen when it was handed out.
    pub before: Option<String>,
    /// How long its effect is waited for. Afterwards it counts as lost.
    pub patience: Span,
}

/// A target that is left alone for a while because the last action on it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// For how long.
    pub span: Span,
    /// Why, as a code.
    pub reason: Reason,
    /// Why, as a sentence.
    pub message: String,
    /// Failures in a row, this one included.
    pub failures: u32,
    /// Fingerprint of the specification with which it failed, if the action had one. With another one it is tried
    /// at once.
    pub spec: Option<String>,
}

/// What is remembered of one broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The newest start that was seen.
    pub incarnation: Option<String>,
    /// When that start was made, if it was seen running.
    pub started_at: Option<Timestamp>,
    /// Fingerprint of what that start was made from.
    pub made_from: Option<String>,
    /// The start whose end was counted last, so that no end counts twice.
    pub counted: Option<String>,
    /// Whether that end was asked for.
    pub asked: bool,
    /// Ends in a row that each came soon after the start.
    pub quick_ends: u32,
    /// Starts that followed upon an end that nobody had asked for.
    pub restarts: u32,
    /// Since when the running process has not said what it does.
    pub silent_since: Option<Timestamp>,
    /// Since when the address of the running process, which says that it serves, has not led to it.
    pub unreached_since: Option<Timestamp>,
    /// When it was last seen ready, in any incarnation.
    pub ready_at: Option<Timestamp>,
}

/// Everything that is remembered of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// When the newest observation was made that was considered. An older one decides nothing.
    pub seen_at: Option<Timestamp>,
    /// Actions under way.
    pub in_flight: BTreeMap<Target, InFlight>,
    /// Targets that are left alone for a while.
    pub holds: BTreeMap<Target, Hold>,
    /// The brokers, as far as there is anything to remember.
    pub brokers: BTreeMap<BrokerId, Past>,
    /// What was said last, for the `since` of what is said again.
    pub said: Option<ClusterStatus>,
}

impl Memory {
    /// The action under way on a broker.
    #[must_use]
    pub fn underway(&self, broker: BrokerId) -> Option<&Action> {
        self.in_flight.get(&Target::Broker(broker)).map(|in_flight| &in_flight.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_at_its_end_and_when_the_clock_is_set_back() {
        let span = Span { from: Timestamp(1_000), lasts: Duration::from_secs(1) };
        assert!(!span.is_over(Timestamp(1_000)));
        assert!(!span.is_over(Timestamp(1_999)));
        assert!(span.is_over(Timestamp(2_000)));
        assert!(span.is_over(Timestamp(999)));
    }
}
