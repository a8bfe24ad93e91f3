//! Scenario files: a course of events as text, and what must come of it.
//!
//! One command a line; `#` begins a comment. Durations are `20ms`, `5s`, `10m`; brokers are node ids.
//!
//! ```text
//! create 3                    a cluster of three brokers
//! change                      a configuration that needs a restart
//! release 2                   another release of the broker
//! pause | stop | resume | remove
//!
//! kill 0                      kill -9
//! behave 0 well               from its next start on: starts in 20 ms and stays
//! behave 0 slow 5s            takes so long before it is ready
//! behave 0 recovers 10s       checks its logs for so long
//! behave 0 crashes 100ms      ends so long after each start
//! behave 0 refuses            exit code 2
//! behave 0 loses-disk         exit code 3
//! restart agent               it forgets everything
//! silent 0 5s                 it answers nobody for so long
//!
//! hide 0 5s | hide all 5s     it cannot be seen
//! stale 5s                    nothing newer than now is seen
//! lose | repeat | unanswered  what becomes of the next action
//! fail 0 5s                   nothing can be performed on it
//! installed 1 2               the releases that are installed
//!
//! pass 10s
//! await ready|reached|removed 30s
//! await starts 0 2 30s        until so many processes were started
//! await 0 CrashLoop 30s       until a broker is reported with a reason
//! expect 0 AllBrokersReady    its reason now
//! expect starts 0 2           how many processes were started
//! ```
//!
//! The commands up to `silent` can be played wherever there are brokers; those after it need a stage that can lie about
//! what is seen and done. A stage says which ones it cannot play, and the scenario is left out there.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::intent::{Listener, Pool, RolloutPolicy, Security};
use model::observed::Exit;
use model::size::Bytes;
use model::version::{FeatureLevel, Release};
use model::{BrokerId, ClusterId, ClusterIntent, ClusterStatus, Generation, Lifecycle};
use thiserror::Error;
use uuid::Uuid;

use crate::simulation::{Fate, Simulation};
use crate::world::Behaviour;

/// A course of events.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its commands, with the lines they come from.
    pub lines: Vec<Line>,
}

/// One command.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: usize,
    /// As it was written.
    pub text: String,
    /// What it means.
    pub command: Command,
}

/// What a line can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Changes what is wanted.
    Want(Want),
    /// Something that happens to brokers or agent.
    Disturb(Disturbance),
    /// Time passes.
    Pass(Duration),
    /// Time passes until something is so.
    Await(State, Duration),
    /// Something must be so now.
    Expect(State),
}

/// A change of what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// A cluster of so many brokers.
    Create(i32),
    /// Another configuration.
    Change,
    /// Another release.
    Release(String),
    /// Another lifecycle.
    Lifecycle(Lifecycle),
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// `kill -9`.
    Kill(BrokerId),
    /// What a broker does from its next start on.
    Behave(BrokerId, Behaviour),
    /// The agent is restarted.
    RestartAgent,
    /// A broker answers nobody.
    Silence(BrokerId, Duration),
    /// A broker or everything cannot be seen.
    Hide(Option<BrokerId>, Duration),
    /// Nothing newer than now is seen.
    Stale(Duration),
    /// What becomes of the next action.
    Fate(Fate),
    /// Nothing can be performed on a broker.
    Fail(BrokerId, Duration),
    /// Which releases are installed.
    Installed(Vec<String>),
}

/// Something that can be waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Clients can use the cluster.
    Ready,
    /// The newest intent is reached.
    Reached,
    /// The cluster is gone.
    Removed,
    /// A broker is reported with a reason, by its name.
    Broker(BrokerId, String),
    /// So many processes of a broker were started.
    Starts(BrokerId, u32),
}

/// A scenario could not be read or did not go as it says.
#[derive(Debug, Error)]
pub enum Failure {
    /// A line is no command.
    #[error("line {number}: `{text}` is no command")]
    Syntax {
        /// Which line.
        number: usize,
        /// What it says.
        text: String,
    },
    /// This stage cannot play it.
    #[error("line {number}: `{text}` cannot be played here")]
    NotHere {
        /// Which line.
        number: usize,
        /// What it says.
        text: String,
    },
    /// What it expects is not so.
    #[error("line {number}: `{text}` does not hold; last said: {said}")]
    Unmet {
        /// Which line.
        number: usize,
        /// What it says.
        text: String,
        /// The last status in words.
        said: String,
    },
}

/// Where a scenario is played.
pub trait Stage {
    /// Makes the agent follow an intent.
    fn publish(&mut self, intent: ClusterIntent);
    /// Makes something happen; false if that cannot be done here.
    fn disturb(&mut self, disturbance: &Disturbance) -> bool;
    /// Lets time pass until the status satisfies, but no longer than that; whether it did.
    fn pass(&mut self, span: Duration, until: &dyn Fn(&ClusterStatus) -> bool) -> bool;
    /// The newest status.
    fn status(&mut self) -> Option<ClusterStatus>;
    /// Whether the newest status is so, as far as this stage can tell "now" from a moment later.
    fn shows(&mut self, holds: &dyn Fn(&ClusterStatus) -> bool) -> bool {
        self.status().is_some_and(|status| holds(&status))
    }
    /// How many processes of a broker were started.
    fn starts(&mut self, broker: BrokerId) -> u32;
    /// A command is about to be played.
    fn announce(&mut self, text: &str);
}

/// Plays a scenario to its end.
pub fn play(scenario: &Scenario, cluster: ClusterId, stage: &mut impl Stage) -> Result<(), Failure> {
    let mut intent = None;
    for line in &scenario.lines {
        stage.announce(&line.text);
        let met = match &line.command {
            Command::Want(want) => {
                let next = wanted(intent.as_ref(), cluster, want);
                intent = Some(next.clone());
                stage.publish(next);
                true
            }
            Command::Disturb(disturbance) => {
                if !stage.disturb(disturbance) {
                    return Err(Failure::NotHere { number: line.number, text: line.text.clone() });
                }
                true
            }
            Command::Pass(span) => {
                stage.pass(*span, &|_| false);
                true
            }
            Command::Await(State::Starts(broker, count), span) => await_starts(stage, *broker, *count, *span),
            Command::Await(state, span) => stage.pass(*span, &|status| holds(state, status, intent.as_ref())),
            Command::Expect(State::Starts(broker, count)) => stage.starts(*broker) == *count,
            Command::Expect(state) => stage.shows(&|status| holds(state, status, intent.as_ref())),
        };
        if !met {
            let said = stage.status().map_or_else(String::new, |status| crate::simulation::in_words(&status));
            return Err(Failure::Unmet { number: line.number, text: line.text.clone(), said });
        }
    }
    Ok(())
}

/// Looks again and again, since no status says it.
fn await_starts(stage: &mut impl Stage, broker: BrokerId, count: u32, span: Duration) -> bool {
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let mut left = span;
    while stage.starts(broker) < count && !left.is_zero() {
        stage.pass(LOOK_EVERY.min(left), &|_| false);
        left = left.saturating_sub(LOOK_EVERY);
    }
    stage.starts(broker) == count
}

fn holds(state: &State, status: &ClusterStatus, intent: Option<&ClusterIntent>) -> bool {
    let generation = intent.map_or(Generation::FIRST, |intent| intent.generation);
    match state {
        State::Ready => status.is_ready(generation),
        State::Reached => status.has_reached(generation),
        State::Removed => status.removed && status.observed_generation >= generation,
        State::Broker(broker, reason) => {
            let about = status.brokers.iter().find(|about| about.id == *broker);
            about.is_some_and(|about| format!("{:?}", about.reason) == *reason)
        }
        // Counted by the stage, not said in a status.
        State::Starts(..) => false,
    }
}

/// The intent that a change makes of the one before.
#[must_use]
pub fn wanted(before: Option<&ClusterIntent>, cluster: ClusterId, want: &Want) -> ClusterIntent {
    let mut next = before.cloned().unwrap_or_else(|| first(cluster));
    if let Some(before) = before {
        next.parent = Some(before.generation);
        next.generation = before.generation.next();
    }
    match want {
        Want::Create(count) => next.pools[0].brokers = (0..*count).map(BrokerId).collect(),
        Want::Change => {
            let partitions = next.generation.to_string();
            next.config.insert("num.partitions".to_owned(), partitions);
        }
        Want::Release(release) => next.release = Release(release.clone()),
        Want::Lifecycle(lifecycle) => next.lifecycle = *lifecycle,
    }
    next
}

fn first(cluster: ClusterId) -> ClusterIntent {
    ClusterIntent {
        cluster,
        generation: Generation::FIRST,
        parent: None,
        name: "orders".to_owned(),
        release: Release("1".to_owned()),
        feature_level: FeatureLevel(1),
        pools: vec![Pool { name: "brokers".to_owned(), brokers: Vec::new(), storage: Bytes::gib(1) }],
        listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
        client_cas: vec!["a certificate".to_owned()],
        config: BTreeMap::new(),
        rollout: RolloutPolicy::default(),
        lifecycle: Lifecycle::Run,
    }
}

impl Scenario {
    /// Reads a scenario.
    pub fn parse(text: &str) -> Result<Scenario, Failure> {
        let mut lines = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let number = index + 1;
            let words: Vec<&str> = text.split_whitespace().collect();
            let command = command(&words).ok_or_else(|| Failure::Syntax { number, text: text.to_owned() })?;
            lines.push(Line { number, text: text.to_owned(), command });
        }
        Ok(Scenario { lines })
    }

    /// How long it lets time pass, apart from what it waits for.
    #[must_use]
    pub fn passes(&self) -> Duration {
        let passes = self.lines.iter().map(|line| match line.command {
            Command::Pass(span) => span,
            _ => Duration::ZERO,
        });
        passes.sum()
    }

    /// The same with so many times as long for every wait: real processes need more time than virtual ones.
    #[must_use]
    pub fn patiently(mut self, factor: u32) -> Scenario {
        for line in &mut self.lines {
            if let Command::Await(_, patience) = &mut line.command {
                *patience *= factor;
            }
        }
        self
    }
}

/// The scenario files of this crate by their names: the same ones for every stage.
pub fn files() -> io::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios"))? {
        let path = entry?.path();
        if let (Some("txt"), Some(name)) =
            (path.extension().and_then(|it| it.to_str()), path.file_stem().and_then(|it| it.to_str()))
        {
            files.insert(name.to_owned(), path);
        }
    }
    Ok(files)
}

fn command(words: &[&str]) -> Option<Command> {
    let want = |want| Some(Command::Want(want));
    let disturb = |disturbance| Some(Command::Disturb(disturbance));
    match *words {
        ["create", count] => want(Want::Create(count.parse().ok()?)),
        ["change"] => want(Want::Change),
        ["release", release] => want(Want::Release(release.to_owned())),
        ["pause"] => want(Want::Lifecycle(Lifecycle::Pause)),
        ["stop"] => want(Want::Lifecycle(Lifecycle::Stop)),
        ["resume"] => want(Want::Lifecycle(Lifecycle::Run)),
        ["remove"] => want(Want::Lifecycle(Lifecycle::Remove)),
        ["kill", id] => disturb(Disturbance::Kill(broker(id)?)),
        ["behave", id, ref how @ ..] => disturb(Disturbance::Behave(broker(id)?, behaviour(how)?)),
        ["restart", "agent"] => disturb(Disturbance::RestartAgent),
        ["silent", id, span] => disturb(Disturbance::Silence(broker(id)?, duration(span)?)),
        ["hide", "all", span] => disturb(Disturbance::Hide(None, duration(span)?)),
        ["hide", id, span] => disturb(Disturbance::Hide(Some(broker(id)?), duration(span)?)),
        ["stale", span] => disturb(Disturbance::Stale(duration(span)?)),
        ["lose"] => disturb(Disturbance::Fate(Fate::Lost)),
        ["repeat"] => disturb(Disturbance::Fate(Fate::Repeated)),
        ["unanswered"] => disturb(Disturbance::Fate(Fate::Unanswered)),
        ["fail", id, span] => disturb(Disturbance::Fail(broker(id)?, duration(span)?)),
        ["installed", ref releases @ ..] => {
            disturb(Disturbance::Installed(releases.iter().map(|&release| release.to_owned()).collect()))
        }
        ["pass", span] => Some(Command::Pass(duration(span)?)),
        ["await", ref what @ .., span] => Some(Command::Await(state(what)?, duration(span)?)),
        ["expect", ref what @ ..] => Some(Command::Expect(state(what)?)),
        _ => None,
    }
}

fn state(words: &[&str]) -> Option<State> {
    match *words {
        ["ready"] => Some(State::Ready),
        ["reached"] => Some(State::Reached),
        ["removed"] => Some(State::Removed),
        ["starts", id, count] => Some(State::Starts(broker(id)?, count.parse().ok()?)),
        [id, reason] => Some(State::Broker(broker(id)?, reason.to_owned())),
        _ => None,
    }
}

fn behaviour(words: &[&str]) -> Option<Behaviour> {
    let well = Behaviour::default();
    let ends = |exit| Some((Duration::from_millis(30), exit));
    let said = |sentence: &str| sentence.to_owned();
    Some(match *words {
        ["well"] => well,
        ["slow", span] => Behaviour { starts_in: duration(span)?, ..well },
        ["recovers", span] => Behaviour { recovers_for: duration(span)?, ..well },
        ["crashes", span] => {
            let exit = Exit::Crashed { said: said("exit status 101") };
            Behaviour { ends: Some((duration(span)?, exit)), ..well }
        }
        ["refuses"] => {
            let exit = Exit::BadConfiguration { said: said("cannot listen on 127.0.0.1:9092") };
            Behaviour { starts_in: Duration::from_secs(1), ends: ends(exit), ..well }
        }
        ["loses-disk"] => {
            Behaviour { ends: ends(Exit::LostDisk { said: said("input/output error") }), ..well }
        }
        _ => return None,
    })
}

fn broker(word: &str) -> Option<BrokerId> {
    word.parse().ok().map(BrokerId)
}

fn duration(word: &str) -> Option<Duration> {
    let digits = word.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = word[..digits].parse().ok()?;
    match &word[digits..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(60 * number)),
        _ => None,
    }
}

/// The cluster of a scenario in the simulation.
pub const CLUSTER: ClusterId = ClusterId(Uuid::from_u128(1));

impl Stage for Simulation {
    fn publish(&mut self, intent: ClusterIntent) {
        Simulation::publish(self, intent);
    }

    fn disturb(&mut self, disturbance: &Disturbance) -> bool {
        match disturbance {
            Disturbance::Kill(broker) => self.world.kill(*broker),
            Disturbance::Behave(broker, behaviour) => {
                self.world.behave(*broker, behaviour.clone());
                return true;
            }
            Disturbance::RestartAgent => self.restart_agent(),
            Disturbance::Silence(broker, span) => self.world.silence(*broker, *span),
            Disturbance::Hide(broker, span) => self.world.hide(*broker, *span),
            Disturbance::Stale(span) => self.freeze_view(*span),
            Disturbance::Fate(fate) => {
                self.next_fate(*fate);
                return true;
            }
            Disturbance::Fail(broker, span) => self.world.fail(*broker, *span),
            Disturbance::Installed(releases) => self.world.releases.clone_from(releases),
        }
        self.ring();
        true
    }

    fn pass(&mut self, span: Duration, until: &dyn Fn(&ClusterStatus) -> bool) -> bool {
        Simulation::pass(self, span, until)
    }

    fn status(&mut self) -> Option<ClusterStatus> {
        Simulation::status(self).cloned()
    }

    fn starts(&mut self, broker: BrokerId) -> u32 {
        self.world.starts(broker)
    }

    fn announce(&mut self, text: &str) {
        self.write(&format!("> {text}"));
    }
}
