//! Produce throughput: librdkafka as it is used, and prepared batches for the broker's own limit, with the broker's CPU
//! for each GB of payload, and its memory afterwards.

use anyhow::Result;

use super::{Bench, Cores, Kind, Scenario};
use crate::contender::Running;
use crate::replay::{self, Shape};
use crate::report::{Better, Goal, Metric, Report};
use crate::wire::Connection;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "produce",
    about: "produce throughput and broker CPU, pinned and free",
    kind: Kind::Shared { prepare, measure },
};

/// One kind of load: who sends what, and the two rows that it fills.
struct Load {
    cores: Cores,
    sender: Sender,
    throughput: Metric,
    cpu: Metric,
}

enum Sender {
    /// `rdkafka_performance` with messages of a size, `acks` and the usual linger.
    Librdkafka { size: u64, acks: &'static str, per_second: u64 },
    /// Prepared requests over one connection.
    Replay { shape: Shape, bytes_per_second: u64 },
}

const PARTITIONS: i32 = 4;

/// 160 records of 100 bytes or 16 of 1 KB make the batch of 16 KiB that clients send by default.
const LOADS: [Load; 7] = [
    Load {
        cores: Cores::Pinned,
        sender: Sender::Librdkafka { size: 1_024, acks: "acks=all", per_second: 300_000 },
        throughput: rate("librdkafka, 1 KB, acks=all, pinned", Goal::None),
        cpu: cost("broker CPU for it (librdkafka, 1 KB, pinned)", 0.33),
    },
    Load {
        cores: Cores::Free,
        sender: Sender::Librdkafka { size: 1_024, acks: "acks=all", per_second: 300_000 },
        throughput: rate("librdkafka, 1 KB, acks=all, free", Goal::None),
        cpu: cost("broker CPU for it (librdkafka, 1 KB, free)", 0.33),
    },
    Load {
        cores: Cores::Pinned,
        sender: Sender::Librdkafka { size: 100, acks: "acks=1", per_second: 1_000_000 },
        throughput: rate("librdkafka, 100 B, acks=1, pinned", Goal::None),
        cpu: cost("broker CPU for it (librdkafka, 100 B, pinned)", 0.2),
    },
    Load {
        cores: Cores::Pinned,
        sender: Sender::Replay { shape: shape(64, 1_024), bytes_per_second: 500_000_000 },
        throughput: rate("prepared batches of 64 × 1 KB, acks=all, pinned", Goal::Ratio(3.0)),
        cpu: cost("broker CPU for it (64 × 1 KB)", 0.33),
    },
    Load {
        cores: Cores::Pinned,
        sender: Sender::Replay { shape: shape(16, 1_024), bytes_per_second: 300_000_000 },
        throughput: rate("prepared batches of 16 × 1 KB, acks=all, pinned", Goal::Ratio(3.0)),
        cpu: cost("broker CPU for it (16 × 1 KB)", 0.33),
    },
    Load {
        cores: Cores::Pinned,
        sender: Sender::Replay { shape: shape(160, 100), bytes_per_second: 150_000_000 },
        throughput: rate("prepared batches of 160 × 100 B, acks=all, pinned", Goal::Ratio(3.0)),
        cpu: cost("broker CPU for it (160 × 100 B)", 0.2),
    },
    Load {
        cores: Cores::Pinned,
        sender: Sender::Replay {
            shape: Shape { partitions: 1, records: 1, value_bytes: 1_000_000, acks: -1 },
            bytes_per_second: 500_000_000,
        },
        throughput: rate("prepared messages of 1 MB, acks=all, pinned", Goal::Ratio(2.0)),
        cpu: cost("broker CPU for it (1 MB)", 0.33),
    },
];

const RSS_AFTER: Metric = Metric {
    name: "RSS after the produce scenarios",
    unit: "MB",
    better: Better::Lower,
    goal: Goal::Value(60.0),
};

const fn shape(records: usize, value_bytes: usize) -> Shape {
    Shape { partitions: PARTITIONS, records, value_bytes, acks: -1 }
}

const fn rate(name: &'static str, goal: Goal) -> Metric {
    Metric { name, unit: "MB/s", better: Better::Higher, goal }
}

const fn cost(name: &'static str, ratio: f64) -> Metric {
    Metric { name, unit: "CPU-s/GB", better: Better::Lower, goal: Goal::Ratio(ratio) }
}

fn prepare(_: &Bench<'_>, _: &Running) -> Result<()> {
    Ok(())
}

fn measure(bench: &Bench<'_>, broker: &Running, round: usize, report: &mut Report) -> Result<()> {
    for (number, load) in LOADS.iter().enumerate() {
        if bench.load.as_ref().is_some_and(|wanted| !load.throughput.name.contains(wanted.as_str())) {
            continue;
        }
        let (mb_per_second, cpu_per_gb) =
            move_data(bench, broker, load, &format!("produce-{number}-{round}"))?;
        report.add(load.throughput, broker.side, mb_per_second);
        report.add(load.cpu, broker.side, cpu_per_gb);
    }
    report.add(RSS_AFTER, broker.side, broker.process.rss_mb()?);
    Ok(())
}

/// Runs one load on a topic of its own and returns MB/s and the broker's CPU seconds for each GB.
fn move_data(bench: &Bench<'_>, broker: &Running, load: &Load, topic: &str) -> Result<(f64, f64)> {
    let mut wire = Connection::open(broker.addr)?;
    wire.create_topic(topic, PARTITIONS, &[])?;
    load.cores.place(broker)?;
    broker.process.settle()?;
    let cpu_before = broker.process.cpu_seconds()?;
    let (mb_per_second, gb) = match &load.sender {
        Sender::Librdkafka { size, acks, per_second } => {
            let properties = [*acks, "linger.ms=5", "queue.buffering.max.messages=500000"];
            let count = per_second * bench.seconds;
            let cores = load.cores.client();
            let moved = bench.performance.produce(broker.addr, topic, count, *size, &properties, cores)?;
            (moved, (count * size) as f64 / 1e9)
        }
        Sender::Replay { shape, bytes_per_second } => {
            let requests = bench.seconds * bytes_per_second / shape.payload_bytes();
            let moved = replay::pinned(load.cores.client(), || {
                replay::replay(broker.addr, topic, *shape, 1, 5, requests)
            })?;
            let bytes = (moved.requests * shape.payload_bytes()) as f64;
            (bytes / 1e6 / moved.took.as_secs_f64(), bytes / 1e9)
        }
    };
    let cpu = broker.process.cpu_seconds()? - cpu_before;
    wire.delete_topic(topic)?;
    Ok((mb_per_second, cpu / gb))
}
