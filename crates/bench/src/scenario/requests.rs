//! Requests with one small record each, over several connections: what a producer without linger costs.

use anyhow::Result;

use super::{Bench, Cores, Kind, Scenario};
use crate::contender::Running;
use crate::replay::{self, Shape};
use crate::report::{Better, Goal, Metric, Report};
use crate::wire::Connection;

const REQUESTS: Metric = Metric {
    name: "one-record requests over 16 connections, pinned",
    unit: "requests/s",
    better: Better::Higher,
    goal: Goal::Ratio(3.0),
};
const CPU: Metric = Metric {
    name: "broker CPU for one-record requests",
    unit: "CPU-s/million",
    better: Better::Lower,
    goal: Goal::None,
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "requests",
    about: "one-record produce requests over 16 connections",
    kind: Kind::Shared { prepare, measure },
};

const TOPIC: &str = "requests";
const CONNECTIONS: usize = 16;
const IN_FLIGHT: usize = 5;
const SHAPE: Shape = Shape { partitions: 1, records: 1, value_bytes: 100, acks: -1 };
/// A rate that takes either side about the time that was asked for.
const REQUESTS_PER_SECOND: u64 = 40_000;

fn prepare(_: &Bench<'_>, broker: &Running) -> Result<()> {
    Connection::open(broker.addr)?.create_topic(TOPIC, 1, &[])
}

fn measure(bench: &Bench<'_>, broker: &Running, _: usize, report: &mut Report) -> Result<()> {
    let each = bench.seconds * REQUESTS_PER_SECOND / CONNECTIONS as u64;
    Cores::Pinned.place(broker)?;
    let before = broker.process.cpu_seconds()?;
    let moved = replay::pinned(Cores::Pinned.client(), || {
        replay::replay(broker.addr, TOPIC, SHAPE, CONNECTIONS, IN_FLIGHT, each)
    })?;
    let cpu = broker.process.cpu_seconds()? - before;
    report.add(REQUESTS, broker.side, moved.requests as f64 / moved.took.as_secs_f64());
    report.add(CPU, broker.side, cpu / (moved.requests as f64 / 1e6));
    Ok(())
}
