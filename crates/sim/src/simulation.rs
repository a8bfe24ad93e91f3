//! Runs the machine in the fake world, one event after the other, as `agent::Driver` does in the real one; and writes
//! down what happens.
//!
//! Faults that lie between the machine and the world live here: views that are old, actions that are lost or carried
//! out twice, an agent that is restarted.

use std::fmt::Write as _;
use std::time::Duration;

use agent::{Machine, Performed, SubstrateError};
use model::condition::{Kind, Truth};
use model::{Action, ClusterIntent, ClusterStatus, Lifecycle, Observed, Timestamp};
use planner::verify::brief;

use crate::world::World;

/// How long an action is on its way to the world.
const DELIVERY: Duration = Duration::from_millis(5);

/// Steps at one and the same moment after which the machine is called spinning. Ten brokers that all start, fail and
/// are looked at again need fewer than fifty.
const MOST_STEPS_AT_ONCE: u32 = 1_000;

/// What happens to the next actions that are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives, and nobody says so.
    Lost,
    /// It arrives twice, and the second time three seconds later.
    Repeated,
    /// It arrives; the news of it does not.
    Unanswered,
}

/// An action on its way.
#[derive(Clone, Debug)]
struct Doing {
    at: Timestamp,
    action: Action,
    /// Whether the machine hears how it ended.
    answered: bool,
}

/// A cluster, its agent and their world.
#[derive(Debug)]
pub struct Simulation {
    /// The world.
    pub world: World,
    now: Timestamp,
    machine: Machine,
    intent: Option<ClusterIntent>,
    wake_at: Timestamp,
    doing: Vec<Doing>,
    fates: Vec<Fate>,
    /// A view that is shown instead of the present one, and until when.
    stale: Option<(Observed, Timestamp)>,
    status: Option<ClusterStatus>,
    said: String,
    transcript: String,
    steps_at_once: u32,
}

impl Default for Simulation {
    fn default() -> Self {
        let now = Timestamp(0);
        Simulation {
            world: World::new(now),
            now,
            machine: Machine::new(),
            intent: None,
            wake_at: now,
            doing: Vec::new(),
            fates: Vec::new(),
            stale: None,
            status: None,
            said: String::new(),
            transcript: String::new(),
            steps_at_once: 0,
        }
    }
}

impl Simulation {
    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What is wanted.
    #[must_use]
    pub fn intent(&self) -> Option<&ClusterIntent> {
        self.intent.as_ref()
    }

    /// What the agent said last.
    #[must_use]
    pub fn status(&self) -> Option<&ClusterStatus> {
        self.status.as_ref()
    }

    /// What happened so far.
    #[must_use]
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Changes what is wanted.
    pub fn publish(&mut self, intent: ClusterIntent) {
        self.intent = Some(intent);
        self.look();
    }

    /// The agent forgets everything; what it has handed out goes on.
    pub fn restart_agent(&mut self) {
        self.machine = Machine::new();
        for doing in &mut self.doing {
            doing.answered = false;
        }
        self.look();
    }

    /// What happens to the action that is handed out next.
    pub fn next_fate(&mut self, fate: Fate) {
        self.fates.push(fate);
    }

    /// Nothing out of the ordinary becomes of actions from now on, and the agent sees the present.
    pub fn forget_fates(&mut self) {
        self.fates.clear();
        self.stale = None;
    }

    /// The agent sees nothing newer than the present for so long.
    pub fn freeze_view(&mut self, span: Duration) {
        self.stale = Some((self.world.observe(), self.now.plus(span)));
    }

    /// Tells the agent that something may have changed.
    pub fn ring(&mut self) {
        let events = self.world.advance(self.now);
        self.write_events(events);
        self.look();
    }

    /// Writes a line into the transcript.
    pub fn write(&mut self, line: &str) {
        let seconds = self.now.0 / 1_000;
        let _ = writeln!(self.transcript, "{seconds:>5}.{:03}  {line}", self.now.0 % 1_000);
    }

    /// Lets time pass until the status satisfies, but no longer than that; whether it did.
    pub fn pass(&mut self, span: Duration, until: impl Fn(&ClusterStatus) -> bool) -> bool {
        let end = self.now.plus(span);
        loop {
            if self.status.as_ref().is_some_and(&until) {
                return true;
            }
            let doing = self.doing.iter().map(|doing| doing.at).min();
            let wake = self.intent.is_some().then_some(self.wake_at);
            let next = [self.world.next_event(), doing, wake].into_iter().flatten().min().unwrap_or(end);
            self.go_to(next.clamp(self.now, end));
            if self.now >= end && next >= end {
                return self.status.as_ref().is_some_and(&until);
            }
        }
    }

    /// Goes to a moment, at which something happens or is due.
    fn go_to(&mut self, at: Timestamp) {
        if at > self.now {
            self.steps_at_once = 0;
        }
        self.now = at;
        let events = self.world.advance(at);
        let mut woken = events.iter().any(|event| event.rings);
        self.write_events(events);
        let (due, later) = std::mem::take(&mut self.doing).into_iter().partition(|doing| doing.at <= at);
        self.doing = later;
        for doing in due {
            woken |= self.arrive(&doing);
        }
        if self.stale.as_ref().is_some_and(|(_, until)| *until <= at) {
            self.stale = None;
            woken = true;
        }
        if woken || self.wake_at <= at {
            self.look();
        }
    }

    fn arrive(&mut self, doing: &Doing) -> bool {
        let outcome: Result<Performed, SubstrateError> =
            self.world.perform(&doing.action, self.is_removing());
        let events = self.world.advance(self.now);
        self.write_events(events);
        let words = match &outcome {
            Ok(Performed::Done) => None,
            Ok(Performed::Unneeded) => Some("nothing to do".to_owned()),
            Err(error) => Some(error.sentence()),
        };
        if let Some(words) = words {
            self.write(&format!("{}: {words}", brief(&doing.action)));
        }
        if doing.answered {
            self.machine.finished(self.now, &doing.action, &outcome);
        }
        doing.answered
    }

    fn is_removing(&self) -> bool {
        self.intent.as_ref().is_some_and(|intent| intent.lifecycle == Lifecycle::Remove)
    }

    /// One round of the agent.
    fn look(&mut self) {
        let Some(intent) = self.intent.clone() else { return };
        self.steps_at_once += 1;
        assert!(self.steps_at_once < MOST_STEPS_AT_ONCE, "the machine spins at {}", self.now);
        let seen = match &self.stale {
            Some((view, _)) => view.clone(),
            None => self.world.observe(),
        };
        let decision = self.machine.step(self.now, &intent, &seen);
        self.wake_at = decision.wake_at;
        for action in decision.actions {
            self.hand_out(action);
        }
        self.hear(decision.report);
    }

    fn hand_out(&mut self, action: Action) {
        let fate = (!self.fates.is_empty()).then(|| self.fates.remove(0));
        let fate_words = fate.map_or_else(String::new, |fate| format!(" ({fate:?})").to_lowercase());
        self.write(&format!("{}{fate_words}", brief(&action)));
        let at = self.now.plus(DELIVERY + World::takes(&action));
        let answered = fate != Some(Fate::Unanswered);
        if fate == Some(Fate::Repeated) {
            let later = at.plus(Duration::from_secs(3));
            self.doing.push(Doing { at: later, action: action.clone(), answered: false });
        }
        if fate != Some(Fate::Lost) {
            self.doing.push(Doing { at, action, answered });
        }
    }

    fn hear(&mut self, status: ClusterStatus) {
        let said = in_words(&status);
        if said != self.said {
            self.write(&format!("says {said}"));
            self.said = said;
        }
        self.status = Some(status);
    }

    fn write_events(&mut self, events: Vec<crate::world::Event>) {
        let now = self.now;
        for event in events {
            self.now = event.at;
            self.write(&event.what);
        }
        self.now = now;
    }
}

/// A status in one line.
#[must_use]
pub fn in_words(status: &ClusterStatus) -> String {
    let mut words = format!("[{}]", status.observed_generation);
    for (kind, name) in
        [(Kind::Ready, "ready"), (Kind::Progressing, "progressing"), (Kind::Degraded, "degraded")]
    {
        if let Some(condition) = status.condition(kind) {
            let truth = match condition.status {
                Truth::True => name.to_owned(),
                Truth::False => format!("not {name}"),
                Truth::Unknown => format!("perhaps {name}"),
            };
            let _ = write!(words, " {truth} ({:?})", condition.reason);
        }
    }
    for broker in &status.brokers {
        let _ = write!(words, " {}:{:?}", broker.id, broker.reason);
    }
    if status.removed {
        words.push_str(" removed");
    }
    words
}
