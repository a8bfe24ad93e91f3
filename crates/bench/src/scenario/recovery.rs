//! Recovery: a broker with data in many partitions is killed with SIGKILL and started again.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Bench, Scenario};
use crate::clock;
use crate::contender::Running;
use crate::replay::{self, Shape};
use crate::report::{Better, Metric, Report};
use crate::wire::Connection;

const RECOVERY: Metric = Metric {
    name: "kill -9 with 4 GB in 40 partitions, until every leader is known",
    unit: "ms",
    better: Better::Lower,
    goal: Some(0.03),
};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "recovery", about: "start after kill -9 with 4 GB of data", run };

const TOPIC: &str = "recovery";
const SHAPE: Shape = Shape { partitions: 40, records: 64, value_bytes: 1_024, acks: -1 };
const BYTES: u64 = 4_000_000_000;
const LIMIT: Duration = Duration::from_secs(300);

fn run(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    for side in bench.sides() {
        let mut broker = bench.brokers.start(*side, bench.data, &[])?;
        Connection::open(broker.addr)?.create_topic(TOPIC, SHAPE.partitions)?;
        replay::replay(broker.addr, TOPIC, SHAPE, 1, 5, BYTES / SHAPE.payload_bytes())?;
        for _ in 0..bench.rounds {
            // A little more each round, so that there is something behind the last checkpoint.
            replay::replay(broker.addr, TOPIC, SHAPE, 1, 5, 20)?;
            broker.process.kill()?;
            let killed = clock::now();
            broker = bench.brokers.restart(broker)?;
            wait_for_leaders(&broker)?;
            report.add(RECOVERY, *side, killed.elapsed().as_secs_f64() * 1e3);
        }
        broker.process.stop()?;
    }
    Ok(())
}

fn wait_for_leaders(broker: &Running) -> Result<()> {
    let asked = clock::now();
    let mut wire = Connection::open(broker.addr)?;
    while !wire.has_leaders(TOPIC)? {
        if asked.elapsed() > LIMIT {
            bail!("not every partition got its leader back");
        }
        clock::pause(Duration::from_millis(1));
    }
    Ok(())
}
