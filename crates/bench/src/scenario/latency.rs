//! Latency of single records at three fixed rates.

use std::time::Duration;

use anyhow::Result;

use super::{Bench, Scenario};
use crate::latency;
use crate::report::{Better, Metric, Report};
use crate::wire::Connection;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "latency", about: "produce latency at 1,000, 2,000 and 5,000 messages a second", run };

const RATES: [(u32, [Metric; 3]); 3] = [
    (1_000, [half("p50 at 1,000 msg/s"), tail("p99 at 1,000 msg/s"), tail("p99.9 at 1,000 msg/s")]),
    (2_000, [half("p50 at 2,000 msg/s"), tail("p99 at 2,000 msg/s"), tail("p99.9 at 2,000 msg/s")]),
    (5_000, [half("p50 at 5,000 msg/s"), tail("p99 at 5,000 msg/s"), tail("p99.9 at 5,000 msg/s")]),
];

const fn half(name: &'static str) -> Metric {
    Metric { name, unit: "ms", better: Better::Lower, goal: Some(0.5) }
}

const fn tail(name: &'static str) -> Metric {
    Metric { name, unit: "ms", better: Better::Lower, goal: Some(0.2) }
}

fn run(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    let span = Duration::from_secs(bench.seconds);
    bench.in_turns(
        |broker| {
            Connection::open(broker.addr)?.create_topic("latency", 1)?;
            latency::measure(broker.addr, "latency", 5_000, Duration::from_secs(10)).map(|_| ())
        },
        |broker, _| {
            for (rate, [p50, p99, p999]) in RATES {
                let seen = latency::measure(broker.addr, "latency", rate, span)?;
                report.add(p50, broker.side, seen.p50);
                report.add(p99, broker.side, seen.p99);
                report.add(p999, broker.side, seen.p999);
            }
            Ok(())
        },
    )
}
