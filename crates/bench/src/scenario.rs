//! What is measured. Each scenario adds its values to the report once a round and side; its goals are those that the
//! project set itself, mostly as ratios of ours to Apache Kafka's.
//!
//! Two kinds: those that are about the life of a process start brokers of their own; the others share one pair of
//! brokers, which is started and warmed up once. A shared scenario is run once on each side without being counted, so
//! that no first round pays for what Java compiles or for what a cache has not seen.

mod consume;
mod latency;
mod recovery;
mod requests;
mod start;
mod throughput;

use std::path::Path;

use anyhow::{Context, Result};

use crate::contender::{Brokers, Role, Running};
use crate::rdkafka::Performance;
use crate::report::{Report, Side};

/// What every scenario is given.
pub(crate) struct Bench<'a> {
    /// How to start the brokers.
    pub brokers: Brokers,
    /// librdkafka's load generator.
    pub performance: Performance,
    /// Where the brokers keep their data.
    pub data: &'a Path,
    /// Rounds.
    pub rounds: usize,
    /// Seconds of one measurement, roughly.
    pub seconds: u64,
    /// Of the produce scenario, only the load whose row contains this.
    pub load: Option<String>,
    /// Leave Apache Kafka out.
    pub ours_only: bool,
}

/// One scenario.
pub(crate) struct Scenario {
    /// Short name, for `--only`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// How it is run.
    pub kind: Kind,
}

/// What brokers a scenario needs.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Its own: it runs all its rounds itself.
    Own(fn(&Bench<'_>, &mut Report) -> Result<()>),
    /// The shared pair: what it must find there, and one round of it.
    Shared {
        /// Puts there what the rounds need.
        prepare: fn(&Bench<'_>, &Running) -> Result<()>,
        /// One round on one side.
        measure: fn(&Bench<'_>, &Running, usize, &mut Report) -> Result<()>,
    },
}

/// All scenarios, in the order in which they are run. `throughput` also reports the memory after all its traffic, so it
/// comes before the others that share its brokers.
const ALL: [Scenario; 6] = [
    start::SCENARIO,
    recovery::SCENARIO,
    throughput::SCENARIO,
    consume::SCENARIO,
    requests::SCENARIO,
    latency::SCENARIO,
];

/// Where broker and client run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The broker on core 0, the client on core 1.
    Pinned,
    /// Both wherever the kernel puts them.
    Free,
}

impl Cores {
    /// Puts a broker there.
    fn place(self, broker: &Running) -> Result<()> {
        match self {
            Cores::Pinned => broker.process.pin("0"),
            Cores::Free => broker.process.pin(crate::process::all_cores()),
        }
    }

    fn client(self) -> Option<&'static str> {
        match self {
            Cores::Pinned => Some("1"),
            Cores::Free => None,
        }
    }
}

impl Bench<'_> {
    /// Runs the scenarios whose name is wanted; all if none is named.
    pub(crate) fn run(&self, wanted: &[String], say: impl Fn(&str)) -> Result<Report> {
        let mut report = Report::default();
        let mut pair = None;
        for scenario in &ALL {
            if !wanted.is_empty() && !wanted.iter().any(|wanted| scenario.name.contains(wanted.as_str())) {
                continue;
            }
            say(&format!("{}: {}", scenario.name, scenario.about));
            let done = match scenario.kind {
                Kind::Own(run) => run(self, &mut report),
                Kind::Shared { prepare, measure } => {
                    if pair.is_none() {
                        pair = Some(self.start_pair()?);
                    }
                    let brokers = pair.as_deref().unwrap_or_default();
                    self.in_turns(brokers, prepare, measure, &mut report)
                }
            };
            done.with_context(|| format!("scenario {}", scenario.name))?;
        }
        for broker in pair.iter_mut().flatten() {
            broker.process.stop()?;
        }
        Ok(report)
    }

    fn sides(&self) -> &'static [Side] {
        if self.ours_only { &[Side::Ours] } else { &[Side::Ours, Side::Kafka] }
    }

    /// Starts a broker of each side; all of them are stopped until it is their turn.
    fn start_pair(&self) -> Result<Vec<Running>> {
        let started = self.sides().iter().map(|side| {
            let broker = self.brokers.start(*side, Role::TakesTurns, self.data)?;
            broker.process.signal("STOP")?;
            Ok(broker)
        });
        started.collect()
    }

    /// Lets one side at a time work, round by round, while the other is stopped.
    fn in_turns(
        &self,
        brokers: &[Running],
        prepare: impl Fn(&Bench<'_>, &Running) -> Result<()>,
        measure: impl Fn(&Bench<'_>, &Running, usize, &mut Report) -> Result<()>,
        report: &mut Report,
    ) -> Result<()> {
        for round in 0..=self.rounds {
            for broker in brokers {
                broker.process.signal("CONT")?;
                if round == 0 {
                    prepare(self, broker)?;
                    measure(self, broker, round, &mut Report::default())?;
                } else {
                    measure(self, broker, round, report)?;
                }
                broker.process.signal("STOP")?;
            }
        }
        Ok(())
    }
}
