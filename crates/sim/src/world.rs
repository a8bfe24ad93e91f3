//! The fake world: brokers that start, check their logs, serve, crash; and a substrate that keeps the promises of
//! [`agent::Substrate`] about them.
//!
//! It also judges: whatever an action would do to a broker is held against what must never happen, as the world really
//! is at that moment and not as anybody saw it. See [`World::violations`].

use std::collections::BTreeMap;
use std::time::Duration;

use agent::{Performed, SubstrateError};
use model::action::BrokerSpec;
use model::observed::{BrokerSeen, Exit, Gap, Process, Readiness};
use model::status::Endpoint;
use model::{Action, BrokerId, Observed, Reason, Timestamp};

/// How long a broker takes to stop when it is told to.
const STOPS_IN: Duration = Duration::from_millis(50);

/// What a broker does when it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How long it takes before it checks logs or serves.
    pub starts_in: Duration,
    /// How long it checks its logs.
    pub recovers_for: Duration,
    /// When after its start it ends by itself, and how.
    pub ends: Option<(Duration, Exit)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour { starts_in: Duration::from_millis(20), recovers_for: Duration::ZERO, ends: None }
    }
}

impl Behaviour {
    /// The same in the words of the stand-ins that misbehave on stages with real processes: `slow=MS recover=MS`, and
    /// if it ends by itself `exit=CODE after=MS`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words =
            format!("slow={} recover={}", self.starts_in.as_millis(), self.recovers_for.as_millis());
        if let Some((after, exit)) = &self.ends {
            let code = match exit {
                Exit::Clean => 0,
                Exit::BadConfiguration { .. } => 2,
                Exit::LostDisk { .. } => 3,
                Exit::Crashed { .. } => 101,
            };
            words.push_str(&format!(" exit={code} after={}", after.as_millis()));
        }
        words
    }
}

/// A process of a broker.
#[derive(Clone, Debug)]
struct Run {
    incarnation: String,
    since: Timestamp,
    spec: String,
    behaviour: Behaviour,
    /// Until when it answers nobody.
    silent_until: Timestamp,
}

impl Run {
    fn recovers_from(&self) -> Timestamp {
        self.since.plus(self.behaviour.starts_in)
    }

    fn ready_at(&self) -> Timestamp {
        self.recovers_from().plus(self.behaviour.recovers_for)
    }

    fn ends_at(&self) -> Option<Timestamp> {
        self.behaviour.ends.as_ref().map(|(after, _)| self.since.plus(*after))
    }

    /// How it truly is.
    fn truth(&self, now: Timestamp) -> Readiness {
        if now < self.recovers_from() {
            Readiness::NotReady { why: "it reads its metadata".to_owned() }
        } else if now < self.ready_at() {
            let per_mille = self.behaviour.recovers_for.as_millis().max(1);
            let done = now.since(self.recovers_from()).as_millis() * 40 / per_mille;
            Readiness::Recovering { done: u64::try_from(done).unwrap_or(40), total: 40 }
        } else {
            Readiness::Ready
        }
    }
}

/// A broker's place.
#[derive(Clone, Debug)]
struct Place {
    run: Option<Run>,
    ended: Option<(String, Timestamp, Exit, String)>,
    /// We ended it ourselves, for a change, and it has not served since.
    down_by_us: bool,
}

/// Something that happened by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What, as a line of a transcript.
    pub what: String,
    /// Whether a substrate notices it and rings the bell.
    pub rings: bool,
}

/// The world of one cluster.
#[derive(Clone, Debug)]
pub struct World {
    now: Timestamp,
    places: BTreeMap<BrokerId, Place>,
    behaviours: BTreeMap<BrokerId, Behaviour>,
    starts: BTreeMap<BrokerId, u32>,
    /// The cluster's authority exists.
    authority: bool,
    /// What is not to be seen, and until when; none for everything.
    hidden: BTreeMap<Option<BrokerId>, Timestamp>,
    /// Brokers on which nothing can be performed, and until when.
    failing: BTreeMap<BrokerId, Timestamp>,
    /// The releases of which there is a binary; empty for all.
    pub releases: Vec<String>,
    violations: Vec<String>,
    events: Vec<Event>,
}

impl World {
    /// An empty world at a moment.
    #[must_use]
    pub fn new(now: Timestamp) -> World {
        World {
            now,
            places: BTreeMap::new(),
            behaviours: BTreeMap::new(),
            starts: BTreeMap::new(),
            authority: false,
            hidden: BTreeMap::new(),
            failing: BTreeMap::new(),
            releases: Vec::new(),
            violations: Vec::new(),
            events: Vec::new(),
        }
    }

    /// What happened that must never happen, as sentences.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// How many processes of a broker were started.
    #[must_use]
    pub fn starts(&self, broker: BrokerId) -> u32 {
        self.starts.get(&broker).copied().unwrap_or(0)
    }

    /// What a broker does when it is started from now on.
    pub fn behave(&mut self, broker: BrokerId, behaviour: Behaviour) {
        self.behaviours.insert(broker, behaviour);
    }

    /// `kill -9`; nothing if it does not run.
    pub fn kill(&mut self, broker: BrokerId) {
        self.end(broker, Exit::Crashed { said: "killed by signal 9".to_owned() });
    }

    /// A broker answers nobody for so long.
    pub fn silence(&mut self, broker: BrokerId, span: Duration) {
        let until = self.now.plus(span);
        if let Some(run) = self.places.get_mut(&broker).and_then(|place| place.run.as_mut()) {
            run.silent_until = until;
        }
    }

    /// A broker, or everything, cannot be seen for so long.
    pub fn hide(&mut self, broker: Option<BrokerId>, span: Duration) {
        self.hidden.insert(broker, self.now.plus(span));
    }

    /// Nothing can be performed on a broker for so long.
    pub fn fail(&mut self, broker: BrokerId, span: Duration) {
        self.failing.insert(broker, self.now.plus(span));
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Timestamp> {
        let runs = self.places.values().filter_map(|place| place.run.as_ref());
        let moments = runs.flat_map(|run| [Some(run.ready_at()), run.ends_at()]).flatten();
        moments.filter(|at| *at > self.now).min()
    }

    /// Lets time pass, and returns what happened by itself.
    pub fn advance(&mut self, to: Timestamp) -> Vec<Event> {
        while let Some(at) = self.next_event().filter(|at| *at <= to) {
            self.now = at;
            self.happen();
        }
        self.now = self.now.max(to);
        std::mem::take(&mut self.events)
    }

    /// What happens at this very moment.
    fn happen(&mut self) {
        let ids: Vec<BrokerId> = self.places.keys().copied().collect();
        for id in ids {
            let Some(place) = self.places.get_mut(&id) else { continue };
            let Some(run) = place.run.clone() else { continue };
            if run.ends_at().is_some_and(|at| at <= self.now)
                && let Some((_, exit)) = run.behaviour.ends.clone()
            {
                self.end(id, exit);
            } else if run.ready_at() == self.now {
                place.down_by_us = false;
                self.note(format!("broker {id} serves"), false);
            }
        }
    }

    fn end(&mut self, id: BrokerId, exit: Exit) {
        let Some(place) = self.places.get_mut(&id) else { return };
        let Some(run) = place.run.take() else { return };
        let how = match &exit {
            Exit::Clean => "stops".to_owned(),
            Exit::BadConfiguration { said } => format!("refuses: {said}"),
            Exit::LostDisk { said } => format!("loses its disk: {said}"),
            Exit::Crashed { said } => format!("ends: {said}"),
        };
        place.ended = Some((run.incarnation, self.now, exit, run.spec));
        self.note(format!("broker {id} {how}"), true);
    }

    fn note(&mut self, what: String, rings: bool) {
        self.events.push(Event { at: self.now, what, rings });
    }

    /// What a substrate sees.
    #[must_use]
    pub fn observe(&self) -> Observed {
        let now = self.now;
        let is_hidden = |what| self.hidden.get(&what).is_some_and(|until| *until > now);
        if is_hidden(None) {
            return Observed::blind(now, "the machine does not answer");
        }
        let mut observed = Observed {
            at: now,
            brokers: BTreeMap::new(),
            cluster_ca: self.authority.then(|| "a certificate".to_owned()),
            remains: self.authority,
            gaps: Vec::new(),
        };
        for (id, place) in &self.places {
            if is_hidden(Some(*id)) {
                observed
                    .gaps
                    .push(Gap { broker: Some(*id), what: "its directory cannot be read".to_owned() });
                continue;
            }
            observed.brokers.insert(*id, place.seen(*id, now));
        }
        observed
    }

    /// Performs an action as [`agent::Substrate::perform`] promises it, at this moment. `removing` is whether the
    /// cluster is really to be removed.
    pub fn perform(&mut self, action: &Action, removing: bool) -> Result<Performed, SubstrateError> {
        if let Some(broker) = action.broker()
            && self.failing.get(&broker).is_some_and(|until| *until > self.now)
        {
            let error = SubstrateError::transient("could not write a file", "input/output error");
            return Err(error);
        }
        match action {
            Action::Start(spec) => self.start(spec),
            Action::Restart { spec, incarnation, .. } => {
                self.installed(spec)?;
                match self.stop(spec.broker, incarnation, true, removing)? {
                    Performed::Unneeded => Ok(Performed::Unneeded),
                    Performed::Done => {
                        self.judge_restart(spec.broker);
                        self.start(spec)
                    }
                }
            }
            Action::Stop { broker, incarnation, spare_recovery } => {
                self.stop(*broker, incarnation, *spare_recovery, removing)
            }
            Action::RemoveBroker { broker } => self.remove(*broker, removing),
            Action::RemoveRest => {
                if !removing {
                    self.violations
                        .push(format!("{}: the rest is deleted of a cluster that stays", self.now));
                }
                if !self.places.is_empty() {
                    return Err(SubstrateError::transient(
                        "could not delete the rest",
                        "it still has brokers",
                    ));
                }
                self.authority = false;
                Ok(Performed::Done)
            }
        }
    }

    /// How long performing takes, beyond the way there.
    #[must_use]
    pub fn takes(action: &Action) -> Duration {
        match action {
            Action::Restart { .. } | Action::Stop { .. } => STOPS_IN,
            Action::Start(_) | Action::RemoveBroker { .. } | Action::RemoveRest => Duration::ZERO,
        }
    }

    fn installed(&self, spec: &BrokerSpec) -> Result<(), SubstrateError> {
        if self.releases.is_empty() || self.releases.contains(&spec.release.0) {
            return Ok(());
        }
        Err(SubstrateError::Blocked {
            reason: Reason::ReleaseMissing,
            message: format!("release {} of the broker is not installed; install it", spec.release),
        })
    }

    fn start(&mut self, spec: &BrokerSpec) -> Result<Performed, SubstrateError> {
        self.installed(spec)?;
        let id = spec.broker;
        let fresh = Place { run: None, ended: None, down_by_us: false };
        let place = self.places.entry(id).or_insert(fresh);
        if place.run.is_some() {
            return Ok(Performed::Unneeded);
        }
        let count = self.starts.entry(id).or_insert(0);
        *count += 1;
        let incarnation = format!("{id}#{count}");
        let behaviour = self.behaviours.get(&id).cloned().unwrap_or_default();
        let (since, spec) = (self.now, spec.fingerprint());
        place.run =
            Some(Run { incarnation: incarnation.clone(), since, spec, behaviour, silent_until: since });
        self.authority = true;
        self.note(format!("broker {id} runs as {incarnation}"), false);
        Ok(Performed::Done)
    }

    fn stop(
        &mut self,
        id: BrokerId,
        incarnation: &str,
        spare_recovery: bool,
        removing: bool,
    ) -> Result<Performed, SubstrateError> {
        let run = self.places.get(&id).and_then(|place| place.run.as_ref());
        let Some(run) = run.filter(|run| run.incarnation == incarnation) else {
            return Ok(Performed::Unneeded);
        };
        if matches!(run.truth(self.now), Readiness::Recovering { .. }) {
            if spare_recovery {
                return Err(SubstrateError::transient("could not stop it", "it checks its logs"));
            }
            if !removing {
                self.violations.push(format!("{}: broker {id} is ended while it checks its logs", self.now));
            }
        }
        self.end(id, Exit::Clean);
        Ok(Performed::Done)
    }

    fn remove(&mut self, id: BrokerId, removing: bool) -> Result<Performed, SubstrateError> {
        let Some(place) = self.places.get(&id) else { return Ok(Performed::Unneeded) };
        if place.run.is_some() {
            return Err(SubstrateError::transient("could not delete its data", "its process still runs"));
        }
        if !removing {
            self.violations
                .push(format!("{}: data of broker {id} is deleted of a cluster that stays", self.now));
        }
        self.places.remove(&id);
        self.note(format!("broker {id} and its data are gone"), false);
        Ok(Performed::Done)
    }

    /// Called when a broker was just ended for a change.
    fn judge_restart(&mut self, id: BrokerId) {
        let others = || self.places.iter().filter(|(other, _)| **other != id);
        if let Some((other, _)) = others().find(|(_, place)| place.down_by_us) {
            self.violations.push(format!(
                "{}: broker {id} is restarted while broker {other} is still down by our own doing",
                self.now
            ));
        }
        if let Some(place) = self.places.get_mut(&id) {
            place.down_by_us = true;
        }
    }
}

impl Place {
    fn seen(&self, id: BrokerId, now: Timestamp) -> BrokerSeen {
        let port = u16::try_from(id.0).map_or(9_092, |id| 9_092 + id);
        let endpoint = Some(Endpoint { host: "127.0.0.1".to_owned(), port });
        let (process, readiness, spec) = match (&self.run, &self.ended) {
            (Some(run), _) => {
                let process = Process::Running { incarnation: run.incarnation.clone(), since: run.since };
                let readiness = if run.silent_until > now { Readiness::Unknown } else { run.truth(now) };
                (process, readiness, Some(run.spec.clone()))
            }
            (None, Some((incarnation, at, exit, spec))) => {
                let process =
                    Process::Exited { incarnation: incarnation.clone(), at: *at, exit: exit.clone() };
                (process, Readiness::Unknown, Some(spec.clone()))
            }
            (None, None) => (Process::Absent, Readiness::Unknown, None),
        };
        BrokerSeen { process, readiness, spec, endpoint, certificate: None }
    }
}
