//! Produce throughput: librdkafka as it is used, and prepared batches for the broker's own limit, with the broker's CPU
//! for each GB of payload, and its memory afterwards.

use anyhow::Result;

use super::{Bench, Cores, Scenario};
use crate::contender::Running;
use crate::replay::{self, Shape};
use crate::report::{Better, Metric, Report};
use crate::wire::Connection;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "produce", about: "produce throughput and broker CPU, pinned and free", run };

/// One kind of load: who sends what, and the three rows that it fills.
struct Load {
    cores: Cores,
    sender: Sender,
    throughput: Metric,
    cpu: Metric,
}

enum Sender {
    /// `rdkafka_performance` with messages of a size, `acks` and the usual linger.
    Librdkafka { size: u64, acks: &'static str, count: u64 },
    /// Prepared requests.
    Replay { shape: Shape, connections: usize },
}

const PARTITIONS: i32 = 4;

/// 160 records of 100 bytes or 16 of 1 KB make the batch of 16 KiB that clients send by default.
const LOADS: [Load; 5] = [
    Load {
        cores: Cores::Pinned,
        sender: Sender::Librdkafka { size: 1_024, acks: "acks=all", count: 2_000_000 },
        throughput: row("librdkafka, 1 KB, acks=all, pinned", "MB/s", None),
        cpu: cost("broker CPU for it", 0.33),
    },
    Load {
        cores: Cores::Free,
        sender: Sender::Librdkafka { size: 1_024, acks: "acks=all", count: 2_000_000 },
        throughput: row("librdkafka, 1 KB, acks=all, free", "MB/s", None),
        cpu: cost("broker CPU for it, free", 0.33),
    },
    Load {
        cores: Cores::Pinned,
        sender: Sender::Librdkafka { size: 100, acks: "acks=1", count: 5_000_000 },
        throughput: row("librdkafka, 100 B, acks=1, pinned", "MB/s", None),
        cpu: cost("broker CPU for 100 B", 0.2),
    },
    Load {
        cores: Cores::Pinned,
        sender: Sender::Replay {
            shape: Shape { partitions: PARTITIONS, records: 64, value_bytes: 1_024, acks: -1 },
            connections: 1,
        },
        throughput: row("prepared batches of 64 KiB, acks=all, pinned: broker's limit", "MB/s", Some(3.0)),
        cpu: cost("broker CPU for prepared 64 KiB batches", 0.33),
    },
    Load {
        cores: Cores::Pinned,
        sender: Sender::Replay {
            shape: Shape { partitions: PARTITIONS, records: 160, value_bytes: 100, acks: -1 },
            connections: 1,
        },
        throughput: row("prepared batches of 160 × 100 B, acks=all, pinned", "MB/s", Some(3.0)),
        cpu: cost("broker CPU for prepared 160 × 100 B batches", 0.2),
    },
];

const RSS_AFTER: Metric =
    Metric { name: "RSS after the produce scenarios", unit: "MB", better: Better::Lower, goal: Some(0.05) };

const fn row(name: &'static str, unit: &'static str, goal: Option<f64>) -> Metric {
    Metric { name, unit, better: Better::Higher, goal }
}

const fn cost(name: &'static str, goal: f64) -> Metric {
    Metric { name, unit: "CPU-s/GB", better: Better::Lower, goal: Some(goal) }
}

/// Payload that replayed measurements move for each second that was asked for.
const REPLAY_BYTES_PER_SECOND: u64 = 400_000_000;

fn run(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    bench.in_turns(
        // A warm JVM is part of the comparison: 1 GB before the first measurement.
        |broker| move_data(bench, broker, &LOADS[0], "warm-up").map(|_| ()),
        |broker, round| {
            for (number, load) in LOADS.iter().enumerate() {
                let (mb_per_second, cpu_per_gb) =
                    move_data(bench, broker, load, &format!("t{number}-{round}"))?;
                report.add(load.throughput, broker.side, mb_per_second);
                report.add(load.cpu, broker.side, cpu_per_gb);
            }
            report.add(RSS_AFTER, broker.side, broker.process.rss_mb()?);
            Ok(())
        },
    )
}

/// Runs one load on a topic of its own and returns MB/s and the broker's CPU seconds for each GB.
fn move_data(bench: &Bench<'_>, broker: &Running, load: &Load, topic: &str) -> Result<(f64, f64)> {
    let mut wire = Connection::open(broker.addr)?;
    wire.create_topic(topic, PARTITIONS)?;
    broker.process.pin(load.cores.broker())?;
    let cpu_before = broker.process.cpu_seconds()?;
    let (mb_per_second, gb) = match &load.sender {
        Sender::Librdkafka { size, acks, count } => {
            let properties = [*acks, "linger.ms=5", "queue.buffering.max.messages=500000"];
            let moved = bench.performance.produce(
                broker.addr,
                topic,
                *count,
                *size,
                &properties,
                load.cores.client(),
            )?;
            (moved, (count * size) as f64 / 1e9)
        }
        Sender::Replay { shape, connections } => {
            let requests = bench.seconds * REPLAY_BYTES_PER_SECOND / shape.payload_bytes();
            let moved = replay::pinned(load.cores.client(), || {
                replay::replay(broker.addr, topic, *shape, *connections, 5, requests)
            })?;
            let bytes = (moved.requests * shape.payload_bytes()) as f64;
            (bytes / 1e6 / moved.took.as_secs_f64(), bytes / 1e9)
        }
    };
    let cpu = broker.process.cpu_seconds()? - cpu_before;
    wire.delete_topic(topic)?;
    Ok((mb_per_second, cpu / gb))
}
