//! Start and size: from `exec` to the first Metadata response on an empty directory, and the memory of an idle broker.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, Scenario};
use crate::clock;
use crate::report::{Better, Metric, Report};

const READY: Metric =
    Metric { name: "start to first Metadata, empty", unit: "ms", better: Better::Lower, goal: Some(0.02) };
const IDLE_RSS: Metric = Metric {
    name: "RSS when idle, 3 s after the start",
    unit: "MB",
    better: Better::Lower,
    goal: Some(0.02),
};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "start", about: "start on an empty directory, memory when idle", run };

fn run(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    for _ in 0..bench.rounds {
        for side in bench.sides() {
            let mut broker = bench.brokers.start(*side, bench.data, &[])?;
            report.add(READY, *side, broker.ready_after.as_secs_f64() * 1e3);
            clock::pause(Duration::from_secs(3));
            report.add(IDLE_RSS, *side, broker.process.rss_mb()?);
            broker.process.stop()?;
        }
    }
    Ok(())
}
