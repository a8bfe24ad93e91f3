//! Consume throughput from the page cache, by librdkafka.

use anyhow::Result;

use super::{Bench, Cores, Scenario};
use crate::report::{Better, Metric, Report};
use crate::wire::Connection;

const THROUGHPUT: Metric =
    Metric { name: "librdkafka consumes 1 KB, pinned", unit: "MB/s", better: Better::Higher, goal: None };
const CPU: Metric =
    Metric { name: "broker CPU for consuming", unit: "CPU-s/GB", better: Better::Lower, goal: Some(0.5) };

pub(super) const SCENARIO: Scenario =
    Scenario { name: "consume", about: "read 2 GB of one partition from the beginning", run };

const TOPIC: &str = "consume";
const COUNT: u64 = 2_000_000;
const SIZE: u64 = 1_024;

fn run(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    bench.in_turns(
        |broker| {
            Connection::open(broker.addr)?.create_topic(TOPIC, 1)?;
            bench.performance.produce(broker.addr, TOPIC, COUNT, SIZE, &["acks=1", "linger.ms=5"], None)?;
            bench.performance.consume(broker.addr, TOPIC, COUNT, None)?;
            Ok(())
        },
        |broker, _| {
            broker.process.pin(Cores::Pinned.broker())?;
            let before = broker.process.cpu_seconds()?;
            let mb_per_second =
                bench.performance.consume(broker.addr, TOPIC, COUNT, Cores::Pinned.client())?;
            let cpu = broker.process.cpu_seconds()? - before;
            report.add(THROUGHPUT, broker.side, mb_per_second);
            report.add(CPU, broker.side, cpu / ((COUNT * SIZE) as f64 / 1e9));
            Ok(())
        },
    )
}
