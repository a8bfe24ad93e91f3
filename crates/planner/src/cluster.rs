//! One decision about one cluster: the entry point.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Action, BrokerId, ClusterIntent, ClusterStatus, Lifecycle, Observed, Reason, Timestamp};

use crate::memory::{Hold, Memory, Target};
use crate::stand::{self, Broker, Brokers};
use crate::{heal, report, rolling, winding};

/// A cluster in which nothing happens is looked at this often, for what nobody tells us of: a broker that hangs. A
/// look costs one small request a broker, so a thousand idle clusters cost some hundred requests a second.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Bounds of the pause between two looks at a broker that starts. The pause is a quarter of the time that has passed
/// since the start: what takes 20 ms is noticed within 10 ms, what takes an hour is asked once a second.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// What to do, and what to say. Complete in itself: everything that is not as it is wanted is either the subject of
/// an action or listed among what is waited for, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do now. The actions touch different targets, so their order means nothing.
    pub actions: Vec<Action>,
    /// What is said about the cluster. [`ClusterStatus::waiting`] says what is waited for.
    pub report: ClusterStatus,
    /// When to look again at the latest, whatever happens before.
    pub wake_at: Timestamp,
}

/// How long an action's effect is waited for, from the moment it is handed out. Long enough for the slowest honest
/// case, since a second attempt beside a slow first one helps nobody: a broker that stops gently hands its work over
/// first, and deleting means unlinking many files.
#[must_use]
pub fn patience(action: &Action) -> Duration {
    match action {
        Action::Start(_) => Duration::from_secs(30),
        Action::Restart { .. } => Duration::from_secs(90),
        Action::Stop { .. } => Duration::from_secs(60),
        Action::RemoveBroker { .. } | Action::RemoveRest => Duration::from_secs(60),
    }
}

/// Decides. `seen` must be of the cluster that `intent` is about, and `memory` must have taken `seen` in.
#[must_use]
pub fn decide(intent: &ClusterIntent, seen: &Observed, memory: &Memory, now: Timestamp) -> Decision {
    let scene = Scene { intent, seen, memory, now, brokers: stand::read(intent, seen, memory, now) };
    if memory.seen_at.is_some_and(|newest| seen.at < newest) {
        return report::repeat(&scene);
    }
    let mut draft = Draft::default();
    match intent.lifecycle {
        Lifecycle::Run => {
            for broker in scene.wanted() {
                heal::heal(&scene, broker, &mut draft);
            }
            rolling::roll(&scene, &mut draft);
        }
        Lifecycle::Pause => winding::pause(&scene, &mut draft),
        Lifecycle::Stop => winding::stop(&scene, &mut draft),
        Lifecycle::Remove => winding::remove(&scene, &mut draft),
    }
    report::compose(&scene, draft)
}

/// Everything that a decision looks at.
pub(crate) struct Scene<'a> {
    pub(crate) intent: &'a ClusterIntent,
    pub(crate) seen: &'a Observed,
    pub(crate) memory: &'a Memory,
    pub(crate) now: Timestamp,
    pub(crate) brokers: Brokers<'a>,
}

impl Scene<'_> {
    /// The brokers that the intent asks for.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &Broker<'_>> {
        self.brokers.values().filter(|broker| broker.spec.is_some())
    }

    /// When to look again at something that has been going on since then.
    pub(crate) fn soon(&self, since: Timestamp) -> Timestamp {
        self.now.plus((self.now.since(since) / 4).clamp(SHORTEST_LOOK, LONGEST_LOOK))
    }
}

/// Why something is not as it is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// Nothing will come of waiting: a person has to act.
    pub(crate) stuck: bool,
}

impl Wait {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Wait {
        Wait { reason, message: message.into(), stuck: false }
    }

    /// A wait for a person.
    pub(crate) fn stuck(reason: Reason, message: impl Into<String>) -> Wait {
        Wait { reason, message: message.into(), stuck: true }
    }
}

/// A decision in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) actions: Vec<Action>,
    /// At most one for each broker and one for the cluster as a whole: the one that says most.
    pub(crate) waits: BTreeMap<Option<BrokerId>, Wait>,
    pub(crate) wakes: Vec<Timestamp>,
}

impl Draft {
    /// States why a broker (or the cluster) is not as it is wanted; replaces what was stated before.
    pub(crate) fn wait(&mut self, broker: Option<BrokerId>, wait: Wait) {
        self.waits.insert(broker, wait);
    }

    /// Takes an action with its reason, unless its target is held back or busy. A target on which the last try failed
    /// keeps that as its reason until a try succeeds: a status that changes with every try tells nobody anything.
    pub(crate) fn act(&mut self, scene: &Scene<'_>, action: Action, wait: Wait) {
        let target = Target::of(&action);
        let broker = action.broker();
        let spec = match &action {
            Action::Start(spec) | Action::Restart { spec, .. } => Some(spec.fingerprint()),
            Action::Stop { .. } | Action::RemoveBroker { .. } | Action::RemoveRest => None,
        };
        let failed = scene.memory.holds.get(&target).filter(|hold| hold.spec == spec);
        let held_until = failed.filter(|hold| !hold.span.is_over(scene.now)).map(|hold| hold.span.end());
        let wait = match (failed, held_until) {
            (Some(hold), Some(until)) => failed_wait(hold, &format!("the next try is at {until}")),
            (Some(hold), None) => failed_wait(hold, "it is being tried again"),
            (None, _) => wait,
        };
        self.wait(broker, wait);
        if scene.memory.in_flight.contains_key(&target) {
            return;
        }
        match held_until {
            Some(until) => self.wakes.push(until),
            None => self.actions.push(action),
        }
    }
}

fn failed_wait(hold: &Hold, next: &str) -> Wait {
    let stuck = report::needs_a_person(hold.reason);
    Wait { reason: hold.reason, message: format!("{}; {next}", hold.message), stuck }
}
