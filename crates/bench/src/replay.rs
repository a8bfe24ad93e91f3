//! Load generators that cost next to nothing, so that the broker and not the client is the limit: produce requests are
//! encoded once, with their batches and checksums, and sent again and again.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use protocol::Str;
use protocol::batch::{Builder, Compression};
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

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

/// Sends `requests` requests over each of `connections` connections, with at most `in_flight` open on each. One thread
/// serves all of them and sends whatever a window allows in one write, as a client does that is faster than its broker.
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
    let window = frame.repeat(in_flight);
    let mut pipes = (0..connections)
        .map(|_| Pipe::open(addr, &window, in_flight as u64, requests))
        .collect::<Result<Vec<_>>>()?;
    let mut room = vec![0; ROOM_BYTES];
    let started = clock::now();
    while pipes.iter().any(|pipe| !pipe.is_done()) {
        let mut moved = false;
        for pipe in &mut pipes {
            moved |= pipe.receive(&mut room)?;
            moved |= pipe.send()?;
        }
        if !moved {
            wait(&pipes)?;
        }
    }
    Ok(Replayed { requests: requests * connections as u64, took: started.elapsed() })
}

/// What is received at once: many responses.
const ROOM_BYTES: usize = 64 * 1024;

/// One connection of the generator.
struct Pipe<'a> {
    stream: TcpStream,
    /// As many requests as may be open, one behind the other; sending goes round and round in it.
    window: &'a [u8],
    in_flight: u64,
    requests: u64,
    sent_bytes: u64,
    answered: u64,
    /// The beginning of a response whose end is not there yet.
    begun: Vec<u8>,
}

impl<'a> Pipe<'a> {
    fn open(addr: SocketAddr, window: &'a [u8], in_flight: u64, requests: u64) -> Result<Pipe<'a>> {
        let stream = TcpStream::connect(addr).with_context(|| format!("connect to {addr}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Pipe { stream, window, in_flight, requests, sent_bytes: 0, answered: 0, begun: Vec::new() })
    }

    fn is_done(&self) -> bool {
        self.answered == self.requests
    }

    /// How many bytes may be sent now.
    fn allowed(&self) -> u64 {
        let frame = self.window.len() as u64 / self.in_flight;
        (self.answered + self.in_flight).min(self.requests) * frame - self.sent_bytes
    }

    /// Sends what the window and the socket allow; whether that was anything.
    fn send(&mut self) -> Result<bool> {
        let mut any = false;
        loop {
            let at = (self.sent_bytes % self.window.len() as u64) as usize;
            let end = self.window.len().min(at.saturating_add(usize::try_from(self.allowed())?));
            if at == end {
                return Ok(any);
            }
            match self.stream.write(&self.window[at..end]) {
                Ok(sent) => self.sent_bytes += sent as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(any),
                Err(error) => return Err(error).context("send a request"),
            }
            any = true;
        }
    }

    /// Takes the responses that are there; whether that was anything.
    fn receive(&mut self, room: &mut [u8]) -> Result<bool> {
        let received = match self.stream.read(room) {
            Ok(0) => bail!("the broker closed a connection"),
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("wait for a response"),
        };
        self.begun.extend_from_slice(&room[..received]);
        let mut at = 0;
        while let Some((length, rest)) = self.begun[at..].split_first_chunk() {
            let length = usize::try_from(i32::from_be_bytes(*length)).context("a negative length")?;
            let Some(response) = rest.get(..length) else { break };
            // Every check costs the generator time: the first and one in a thousand stand for the others.
            if self.answered.is_multiple_of(1_000) {
                check(response)?;
            }
            self.answered += 1;
            at += 4 + length;
        }
        self.begun.drain(..at);
        Ok(true)
    }
}

/// Waits until a connection has something to receive, or room for what it may send.
fn wait(pipes: &[Pipe<'_>]) -> Result<()> {
    let limit = Timespec::try_from(wire::RESPONSE_LIMIT)?;
    let mut waits: Vec<PollFd<'_>> = pipes
        .iter()
        .filter(|pipe| !pipe.is_done())
        .map(|pipe| {
            let room = if pipe.allowed() > 0 { PollFlags::OUT } else { PollFlags::empty() };
            PollFd::new(&pipe.stream, PollFlags::IN | room)
        })
        .collect();
    ensure!(poll(&mut waits, Some(&limit))? > 0, "no response within {:?}", wire::RESPONSE_LIMIT);
    Ok(())
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
