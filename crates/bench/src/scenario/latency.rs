//! Latency of single records at fixed rates, kept in the page cache or on the disk before they are acknowledged.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, Cores, Kind, Scenario};
use crate::contender::Running;
use crate::latency;
use crate::report::{Better, Goal, Metric, Report};
use crate::wire::Connection;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "latency",
    about: "produce latency at fixed rates, with and without an fsync for each acknowledgement",
    kind: Kind::Shared { prepare, measure },
};

struct Load {
    topic: &'static str,
    per_second: u32,
    /// Of the median, of the 99th percentile, of the 99.9th.
    rows: [Metric; 3],
}

const CACHED: &str = "latency";
const SYNCED: &str = "latency-fsync";

const LOADS: [Load; 4] = [
    Load {
        topic: CACHED,
        per_second: 1_000,
        rows: [
            row("p50 at 1,000 msg/s", 0.5),
            row("p99 at 1,000 msg/s", 0.2),
            row("p99.9 at 1,000 msg/s", 0.2),
        ],
    },
    Load {
        topic: CACHED,
        per_second: 2_000,
        rows: [
            row("p50 at 2,000 msg/s", 0.5),
            row("p99 at 2,000 msg/s", 0.2),
            row("p99.9 at 2,000 msg/s", 0.2),
        ],
    },
    Load {
        topic: CACHED,
        per_second: 5_000,
        rows: [
            row("p50 at 5,000 msg/s", 0.5),
            row("p99 at 5,000 msg/s", 0.2),
            row("p99.9 at 5,000 msg/s", 0.2),
        ],
    },
    Load {
        topic: SYNCED,
        per_second: 200,
        rows: [
            row("p50 at 200 msg/s, fsync each", 1.0),
            row("p99 at 200 msg/s, fsync each", 0.5),
            row("p99.9 at 200 msg/s, fsync each", 0.5),
        ],
    },
];

const fn row(name: &'static str, ratio: f64) -> Metric {
    Metric { name, unit: "ms", better: Better::Lower, goal: Goal::Ratio(ratio) }
}

fn prepare(_: &Bench<'_>, broker: &Running) -> Result<()> {
    let mut wire = Connection::open(broker.addr)?;
    wire.create_topic(CACHED, 1, &[])?;
    wire.create_topic(SYNCED, 1, &[("flush.messages", "1")])
}

fn measure(bench: &Bench<'_>, broker: &Running, _: usize, report: &mut Report) -> Result<()> {
    Cores::Free.place(broker)?;
    for load in &LOADS {
        // A second more than others: the 99.9th percentile of few requests says little.
        let span = Duration::from_secs(bench.seconds + 1);
        let seen = latency::measure(broker.addr, load.topic, load.per_second, span)?;
        let [p50, p99, p999] = load.rows;
        report.add(p50, broker.side, seen.p50);
        report.add(p99, broker.side, seen.p99);
        report.add(p999, broker.side, seen.p999);
    }
    Ok(())
}
