//! Consume throughput from the page cache, by librdkafka.

use anyhow::Result;

use super::{Bench, Cores, Kind, Scenario};
use crate::contender::Running;
use crate::report::{Better, Goal, Metric, Report};
use crate::wire::Connection;

const THROUGHPUT: Metric = Metric {
    name: "librdkafka consumes 1 KB, pinned",
    unit: "MB/s",
    better: Better::Higher,
    goal: Goal::None,
};
const CPU: Metric = Metric {
    name: "broker CPU for consuming",
    unit: "CPU-s/GB",
    better: Better::Lower,
    goal: Goal::Ratio(0.5),
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "consume",
    about: "read one partition from the beginning",
    kind: Kind::Shared { prepare, measure },
};

const TOPIC: &str = "consume";
const SIZE: u64 = 1_024;
/// About what librdkafka consumes in a second on one core.
const COUNT_PER_SECOND: u64 = 600_000;

fn prepare(bench: &Bench<'_>, broker: &Running) -> Result<()> {
    Connection::open(broker.addr)?.create_topic(TOPIC, 1, &[])?;
    let count = bench.seconds * COUNT_PER_SECOND;
    bench.performance.produce(broker.addr, TOPIC, count, SIZE, &["acks=1", "linger.ms=5"], None)?;
    Ok(())
}

fn measure(bench: &Bench<'_>, broker: &Running, _: usize, report: &mut Report) -> Result<()> {
    let count = bench.seconds * COUNT_PER_SECOND;
    Cores::Pinned.place(broker)?;
    let before = broker.process.cpu_seconds()?;
    let mb_per_second = bench.performance.consume(broker.addr, TOPIC, count, Cores::Pinned.client())?;
    let cpu = broker.process.cpu_seconds()? - before;
    report.add(THROUGHPUT, broker.side, mb_per_second);
    report.add(CPU, broker.side, cpu / ((count * SIZE) as f64 / 1e9));
    Ok(())
}
