//! Load generators that cost next to nothing, so that the broker and not the client is the limit: produce requests are
//! encoded once, with their batches and checksums, and sent again and again.

use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use protocol::Str;
use protocol::batch::{Builder, Compression};
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use crate::{clock, process, wire};

const PRODUCE_VERSION: i16 = 9;

/// How long a fresh topic may refuse records.
const LEADERS_LIMIT: Duration = Duration::from_secs(10);

/// What one request holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Partitions that each request writes to, one batch each.
    pub partitions: i32,
    /// Records of a batch.
    pub records: usize,
    /// Bytes of a record's value.
    pub value_bytes: usize,
    /// Kafka's `acks`.
    pub acks: i16,
}

impl Shape {
    /// Payload of one request in bytes.
    pub(crate) fn payload_bytes(&self) -> u64 {
        self.partitions.unsigned_abs() as u64 * (self.records * self.value_bytes) as u64
    }

    /// The encoded request.
    pub(crate) fn request(&self, topic: &str) -> Result<Vec<u8>> {
        let partitions = (0..self.partitions)
            .map(|index| Ok(PartitionProduceData { index, records: Some(self.batch(index)?) }))
            .collect::<Result<Vec<_>>>()?;
        let request = ProduceRequest {
            acks: self.acks,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: Str::from(topic),
                partition_data: partitions,
                ..Default::default()
            }],
            ..Default::default()
        };
        wire::encode(&request, PRODUCE_VERSION)
    }

    /// A batch of values that do not repeat within it; they need not be random, since nothing compresses them.
    fn batch(&self, seed: i32) -> Result<Bytes> {
        // Records of long ago would fall to the retention of either broker while it is measured.
        let now_ms = clock::unix_ms();
        let mut batch = Builder::new(Compression::None);
        let mut state = u64::from(seed.unsigned_abs()) + 1;
        let mut value = vec![0; self.value_bytes];
        for _ in 0..self.records {
            for chunk in value.chunks_mut(8) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
            }
            batch.push(now_ms, None, Some(&value), &[]);
        }
        Ok(batch.build()?.freeze())
    }
}

/// What a run moved.
pub(crate) struct Replayed {
    /// Requests that were acknowledged.
    pub requests: u64,
    /// From the first request to the last acknowledgement.
    pub took: Duration,
}

/// Sends `requests` requests over each of `connections` connections, with at most `in_flight` open on each.
pub(crate) fn replay(
    addr: SocketAddr,
    topic: &str,
    shape: Shape,
    connections: usize,
    in_flight: usize,
    requests: u64,
) -> Result<Replayed> {
    let frame = shape.request(topic)?;
    first(&mut wire::Connection::open(addr)?, &frame)?;
    let started = clock::now();
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let frame = frame.clone();
            thread::spawn(move || one_connection(addr, &frame, in_flight, requests))
        })
        .collect();
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a generator thread panicked"))??;
    }
    Ok(Replayed { requests: requests * connections as u64, took: started.elapsed() })
}

/// One thread writes, one reads; a bounded channel between them is the window of open requests.
fn one_connection(addr: SocketAddr, frame: &[u8], in_flight: usize, requests: u64) -> Result<()> {
    let mut reader = wire::Connection::open(addr)?;
    let mut writer = reader.split()?;
    let (open, opened) = sync_channel::<()>(in_flight.saturating_sub(1));
    thread::scope(|scope| {
        let receiving = scope.spawn(move || -> Result<()> {
            let mut response = Vec::new();
            for number in 0..requests {
                opened.recv().context("the writer stopped")?;
                reader.receive(&mut response)?;
                // Every response costs the generator time: the first and one in a thousand stand for the others.
                if number % 1_000 == 0 {
                    check(&response)?;
                }
            }
            Ok(())
        });
        for _ in 0..requests {
            if open.send(()).is_err() {
                break;
            }
            writer.send(frame)?;
        }
        drop(open);
        receiving.join().map_err(|_| anyhow!("a reading thread panicked"))?
    })
}

/// Sends a request until it is taken. Apache Kafka names the leaders of a fresh topic a moment before they lead.
pub(crate) fn first(wire: &mut wire::Connection, frame: &[u8]) -> Result<()> {
    let asked = clock::now();
    let mut response = Vec::new();
    loop {
        wire.send(frame)?;
        wire.receive(&mut response)?;
        match check(&response) {
            Err(_) if asked.elapsed() < LEADERS_LIMIT => clock::pause(Duration::from_millis(20)),
            done => return done,
        }
    }
}

/// Fails when the broker refused a batch.
pub(crate) fn check(response: &[u8]) -> Result<()> {
    let response = wire::decode::<ProduceRequest>(Bytes::copy_from_slice(response), PRODUCE_VERSION)?;
    for topic in response.responses {
        for partition in topic.partition_responses {
            ensure!(partition.error_code == 0, "produce was refused with error {}", partition.error_code);
        }
    }
    Ok(())
}

/// Runs a generator with this thread, and those that it starts, on the given cores; afterwards on all again.
pub(crate) fn pinned<T>(cores: Option<&str>, generate: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(cores) = cores else { return generate() };
    let this = std::process::id().to_string();
    let pin =
        |cores: &str| process::run(std::process::Command::new("taskset").args(["-p", "-c", cores, &this]));
    pin(cores)?;
    let result = generate();
    pin(process::all_cores())?;
    result
}
