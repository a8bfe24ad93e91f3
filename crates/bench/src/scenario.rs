//! What is measured. A scenario starts what it needs, measures each side once a round, and adds its values to the
//! report; its goals are those of the roadmap, as ratios of ours to Apache Kafka's.

mod consume;
mod latency;
mod recovery;
mod requests;
mod start;
mod throughput;

use std::path::Path;

use anyhow::Result;

use crate::contender::{Brokers, Running};
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
    /// Seconds of one measurement.
    pub seconds: u64,
    /// Leave Apache Kafka out.
    pub ours_only: bool,
}

/// One scenario.
pub(crate) struct Scenario {
    /// Short name, for `--only`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Measures it.
    pub run: fn(&Bench<'_>, &mut Report) -> Result<()>,
}

/// All scenarios, cheap ones first.
pub(crate) const ALL: [Scenario; 6] = [
    start::SCENARIO,
    throughput::SCENARIO,
    consume::SCENARIO,
    requests::SCENARIO,
    latency::SCENARIO,
    recovery::SCENARIO,
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
    fn broker(self) -> &'static str {
        match self {
            Cores::Pinned => "0",
            Cores::Free => "0-1",
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
    fn sides(&self) -> &'static [Side] {
        if self.ours_only { &[Side::Ours] } else { &[Side::Ours, Side::Kafka] }
    }

    /// Starts all sides, warms them up, and then runs `measure` for one of them at a time, round by round, while the
    /// other is stopped.
    fn in_turns(
        &self,
        warm_up: impl Fn(&Running) -> Result<()>,
        mut measure: impl FnMut(&Running, usize) -> Result<()>,
    ) -> Result<()> {
        let mut running = Vec::new();
        for side in self.sides() {
            let broker = self.brokers.start(*side, self.data, &[])?;
            warm_up(&broker)?;
            broker.process.signal("STOP")?;
            running.push(broker);
        }
        for round in 0..self.rounds {
            for broker in &running {
                broker.process.signal("CONT")?;
                measure(broker, round)?;
                broker.process.signal("STOP")?;
            }
        }
        for broker in &mut running {
            broker.process.stop()?;
        }
        Ok(())
    }
}
