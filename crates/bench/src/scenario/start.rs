//! Start and size: from `exec` to the first Metadata response on an empty directory, and the memory of an idle broker.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, Kind, Scenario};
use crate::clock;
use crate::contender::Role;
use crate::report::{Better, Goal, Metric, Report};

const READY: Metric = Metric {
    name: "start to first Metadata, empty",
    unit: "ms",
    better: Better::Lower,
    goal: Goal::Value(40.0),
};
const IDLE_RSS: Metric = Metric {
    name: "RSS when idle, 2 s after the start",
    unit: "MB",
    better: Better::Lower,
    goal: Goal::Value(8.0),
};

/// What a broker does on its own after its start is done by then.
const SETTLE: Duration = Duration::from_secs(2);

pub(super) const SCENARIO: Scenario =
    Scenario { name: "start", about: "start on an empty directory, memory when idle", kind: Kind::Own(run) };

fn run(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    for _ in 0..bench.rounds {
        for side in bench.sides() {
            let mut broker = bench.brokers.start(*side, Role::Alone, bench.data)?;
            report.add(READY, *side, broker.ready_after.as_secs_f64() * 1e3);
            clock::pause(SETTLE);
            report.add(IDLE_RSS, *side, broker.process.rss_mb()?);
            broker.process.kill()?;
        }
    }
    Ok(())
}
