//! Recovery: a broker with data in many partitions is killed with SIGKILL and started again. Apache Kafka spends most
//! of its time waiting for the session of the killed process to end, and then checks its logs.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Bench, Kind, Scenario};
use crate::clock;
use crate::contender::{Role, Running};
use crate::replay::{self, Shape};
use crate::report::{Better, Goal, Metric, Report};
use crate::wire::Connection;

const RECOVERY: Metric = Metric {
    name: "kill -9 with 2 GB in 40 partitions, until every leader is known",
    unit: "ms",
    better: Better::Lower,
    goal: Goal::Ratio(0.03),
};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "recovery", about: "start after kill -9 with 2 GB of data", kind: Kind::Own(run) };

const TOPIC: &str = "recovery";
const SHAPE: Shape = Shape { partitions: 40, records: 64, value_bytes: 1_024, acks: -1 };
/// Both sides keep theirs until the scenario ends, and not every disk has room for much more.
const BYTES: u64 = 2_000_000_000;
/// Requests before each kill, so that there is something behind the last checkpoint: 52 MB.
const REQUESTS_BEFORE_KILL: u64 = 20;
const LIMIT: Duration = Duration::from_secs(300);

fn run(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    let mut brokers = Vec::new();
    for side in bench.sides() {
        let broker = bench.brokers.start(*side, Role::Alone, bench.data)?;
        Connection::open(broker.addr)?.create_topic(TOPIC, SHAPE.partitions, &[])?;
        replay::replay(broker.addr, TOPIC, SHAPE, 1, 5, BYTES / SHAPE.payload_bytes())?;
        broker.process.signal("STOP")?;
        brokers.push(broker);
    }
    for _ in 0..bench.rounds {
        let mut restarted = Vec::new();
        for mut broker in brokers {
            broker.process.signal("CONT")?;
            replay::replay(broker.addr, TOPIC, SHAPE, 1, 5, REQUESTS_BEFORE_KILL)?;
            broker.process.kill()?;
            let killed = clock::now();
            let broker = bench.brokers.restart(broker)?;
            wait_for_leaders(&broker)?;
            report.add(RECOVERY, broker.side, killed.elapsed().as_secs_f64() * 1e3);
            broker.process.signal("STOP")?;
            restarted.push(broker);
        }
        brokers = restarted;
    }
    brokers.iter_mut().try_for_each(|broker| broker.process.kill())
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
