//! Holds a decision against the rules that no decision may break.
//!
//! Written against the raw observation and in terms of what must *not* happen, so that it shares neither code nor
//! ideas with what decides: a mistake would have to be made twice. `agent::Machine` runs it on every decision in debug
//! builds, so every test that reaches the machine, in whatever world, goes through it.

use std::collections::BTreeSet;

use model::condition::Kind;
use model::observed::{Process, Readiness};
use model::{Action, BrokerId, ClusterIntent, Lifecycle, Observed, Timestamp};

use crate::cluster::Decision;
use crate::memory::{Memory, Target};
use crate::spec;

/// Every rule that the decision breaks, as sentences; none for a good one.
#[must_use]
pub fn verify(
    intent: &ClusterIntent,
    seen: &Observed,
    memory: &Memory,
    now: Timestamp,
    decision: &Decision,
) -> Vec<String> {
    let case = Case { intent, seen, memory, now, decision };
    let mut broken = Vec::new();
    for action in &decision.actions {
        case.action(action, &mut broken);
    }
    case.together(&mut broken);
    case.words(&mut broken);
    broken
}

struct Case<'a> {
    intent: &'a ClusterIntent,
    seen: &'a Observed,
    memory: &'a Memory,
    now: Timestamp,
    decision: &'a Decision,
}

impl Case<'_> {
    /// What holds for each action alone.
    fn action(&self, action: &Action, broken: &mut Vec<String>) {
        let mut rule = |holds: bool, sentence: &str| {
            if !holds {
                broken.push(format!("{sentence}: {}", brief(action)));
            }
        };
        let lifecycle = self.intent.lifecycle;
        rule(lifecycle != Lifecycle::Pause, "a paused cluster is left alone");
        rule(self.memory.seen_at.is_none_or(|newest| self.seen.at >= newest), "an old view decides nothing");
        rule(self.seen.gaps.iter().all(|gap| gap.broker.is_some()), "nothing is done blindly");
        rule(!self.memory.in_flight.contains_key(&Target::of(action)), "one action at a time on one target");
        if let Some(broker) = action.broker() {
            rule(!self.hidden(broker), "what was not seen is unknown and left alone");
            let spared = !self.is_recovering(broker) || lifecycle == Lifecycle::Remove;
            rule(spared, "a broker that checks its logs is left alone");
        }
        match action {
            Action::Start(spec) => {
                rule(lifecycle == Lifecycle::Run, "only a running cluster starts brokers");
                let wanted = self.intent.brokers().find(|(id, _)| *id == spec.broker);
                let expected = wanted.map(|(id, pool)| spec::of(self.intent, id, pool));
                rule(expected.as_ref() == Some(spec), "a broker is made from what is wanted");
                rule(self.incarnation(spec.broker).is_none(), "no second process beside a running one");
            }
            Action::Restart { spec, incarnation, .. } => {
                rule(lifecycle == Lifecycle::Run, "only a running cluster restarts brokers");
                let wanted = self.intent.brokers().find(|(id, _)| *id == spec.broker);
                let expected = wanted.map(|(id, pool)| spec::of(self.intent, id, pool));
                rule(expected.as_ref() == Some(spec), "a broker is made from what is wanted");
                rule(
                    self.incarnation(spec.broker) == Some(incarnation),
                    "only the start that was seen is ended",
                );
                let seen = self.seen.brokers.get(&spec.broker);
                let changed =
                    seen.and_then(|it| it.spec.as_ref()).is_some_and(|it| *it != spec.fingerprint());
                let ends = seen
                    .and_then(|it| it.certificate)
                    .is_some_and(|it| 3 * it.until.since(self.now) <= it.until.since(it.from));
                rule(changed || ends, "a restart needs a change, or a certificate in its last third");
                rule(
                    self.readiness(spec.broker) != Some(&Readiness::Unknown),
                    "a silent broker is not restarted",
                );
            }
            Action::Stop { broker, incarnation, spare_recovery } => {
                let ending = matches!(lifecycle, Lifecycle::Stop | Lifecycle::Remove);
                rule(ending, "only a cluster that is stopped or removed stops brokers");
                rule(self.incarnation(*broker) == Some(incarnation), "only the start that was seen is ended");
                let doubt = self.readiness(*broker) == Some(&Readiness::Unknown);
                rule(!doubt || lifecycle == Lifecycle::Remove, "a silent broker is not stopped");
                let spared = *spare_recovery || lifecycle == Lifecycle::Remove;
                rule(spared, "whoever stops a broker spares its recovery");
            }
            Action::RemoveBroker { broker } => {
                rule(lifecycle == Lifecycle::Remove, "nothing is deleted unless the cluster is removed");
                rule(self.seen.brokers.contains_key(broker), "only what was seen is deleted");
                rule(self.incarnation(*broker).is_none(), "no data is deleted under a running process");
            }
            Action::RemoveRest => {
                rule(lifecycle == Lifecycle::Remove, "nothing is deleted unless the cluster is removed");
                let certain = self.seen.brokers.is_empty() && self.seen.gaps.is_empty();
                rule(certain, "the rest is deleted after the brokers");
            }
        }
    }

    /// What holds for the actions together.
    fn together(&self, broken: &mut Vec<String>) {
        let targets: BTreeSet<Target> = self.decision.actions.iter().map(Target::of).collect();
        if targets.len() < self.decision.actions.len() {
            broken.push("one action at a time on one target: two in one decision".to_owned());
        }
        let restart = |action: &&Action| matches!(action, Action::Restart { .. });
        let new: Vec<BrokerId> =
            self.decision.actions.iter().filter(restart).filter_map(Action::broker).collect();
        let underway =
            self.memory.in_flight.values().map(|in_flight| &in_flight.action).filter(restart).count();
        if new.len() + underway > 1 && !new.is_empty() {
            broken.push(format!("one voluntary disruption at a time: {new:?} beside {underway} under way"));
        }
        // A broker that serves is taken down only while all others serve.
        for broker in new.iter().filter(|broker| self.serves(**broker)) {
            for (other, _) in self.intent.brokers().filter(|(other, _)| other != broker) {
                let serves = self.serves(other) && !self.hidden(other);
                let busy = self.memory.in_flight.contains_key(&Target::Broker(other));
                if !serves || busy {
                    broken.push(format!("broker {broker} is restarted while broker {other} does not serve"));
                }
            }
        }
    }

    /// What holds for what is said.
    fn words(&self, broken: &mut Vec<String>) {
        let report = &self.decision.report;
        let mut rule = |holds: bool, sentence: &str| {
            if !holds {
                broken.push(sentence.to_owned());
            }
        };
        rule(self.decision.wake_at > self.now, "a look that is due at once again would spin");
        rule(report.cluster == self.intent.cluster, "a report is about the cluster of the intent");
        let stale = self.memory.seen_at.is_some_and(|newest| self.seen.at < newest);
        if stale {
            return;
        }
        rule(
            report.observed_generation == self.intent.generation,
            "a report names the generation it describes",
        );
        let kinds: Vec<Kind> = report.conditions.iter().map(|condition| condition.kind).collect();
        rule(kinds == [Kind::Ready, Kind::Progressing, Kind::Degraded], "each condition is stated once");
        let named = report.conditions.iter().all(|condition| !condition.message.is_empty());
        rule(named, "each condition has a sentence");
        let reported: BTreeSet<BrokerId> = report.brokers.iter().map(|broker| broker.id).collect();
        for (id, _) in self.intent.brokers() {
            rule(reported.contains(&id), "each wanted broker is reported");
            let serves = self.serves(id) && !self.hidden(id);
            let explained = report.waiting.iter().any(|waiting| waiting.broker == Some(id));
            let expected = self.intent.lifecycle == Lifecycle::Run;
            rule(!expected || serves || explained, "a broker that does not serve has a reason");
        }
        for action in &self.decision.actions {
            let explained = report.waiting.iter().any(|waiting| waiting.broker == action.broker());
            rule(explained, "each action has a reason");
        }
        let over = self.seen.brokers.is_empty() && self.seen.gaps.is_empty() && !self.seen.remains;
        let asked = self.intent.lifecycle == Lifecycle::Remove;
        rule(!report.removed || (asked && over), "only what was seen to be gone is reported as removed");
    }

    fn hidden(&self, broker: BrokerId) -> bool {
        self.seen.gaps.iter().any(|gap| gap.broker.is_none() || gap.broker == Some(broker))
    }

    fn incarnation(&self, broker: BrokerId) -> Option<&String> {
        match &self.seen.brokers.get(&broker)?.process {
            Process::Running { incarnation, .. } => Some(incarnation),
            Process::Absent | Process::Exited { .. } => None,
        }
    }

    /// What a running broker says of itself.
    fn readiness(&self, broker: BrokerId) -> Option<&Readiness> {
        self.incarnation(broker).and_then(|_| self.seen.brokers.get(&broker)).map(|seen| &seen.readiness)
    }

    /// Whether it says that it serves, and clients reach it as far as anybody can tell: without a proof, what it says is
    /// believed only some time later.
    fn serves(&self, broker: BrokerId) -> bool {
        match self.readiness(broker) {
            Some(Readiness::Ready) => true,
            Some(Readiness::Unreached { .. }) => {
                let since = self.memory.brokers.get(&broker).and_then(|past| past.unreached_since);
                since.is_some_and(|since| self.now.since(since).as_secs() >= 15)
            }
            _ => false,
        }
    }

    fn is_recovering(&self, broker: BrokerId) -> bool {
        matches!(self.readiness(broker), Some(Readiness::Recovering { .. }))
    }
}

/// An action in a few words, for a transcript or a broken rule.
#[must_use]
pub fn brief(action: &Action) -> String {
    match action {
        Action::Start(spec) => format!("start broker {}", spec.broker),
        Action::Restart { spec, incarnation, .. } => {
            format!("restart broker {} ({incarnation})", spec.broker)
        }
        Action::Stop { broker, incarnation, .. } => format!("stop broker {broker} ({incarnation})"),
        Action::RemoveBroker { broker } => format!("remove broker {broker}"),
        Action::RemoveRest => "remove the rest".to_owned(),
    }
}
