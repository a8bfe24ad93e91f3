//! A crowd of idle, slow, deaf and hostile clients at once: the memory stays under what was configured, and a client
//! that behaves keeps its latency; then the disk fills up on top of it, and the broker recovers by itself.
//!
//! Here a small crowd. The long form has ten thousand idle connections and a thousand that send a byte a second:
//! `PENSTOCK_CROWD=10000 PENSTOCK_BROKER=$PWD/target/release/penstock-broker cargo test --package broker --test broker
//! crowd -- --nocapture`

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::batch::{Builder, Compression};
use protocol::messages::api_versions::ApiVersionsRequest;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::client::{Client, batch, build, code, fetch_request, values};
use super::disk::Small;
use super::process::{Broker, eventually, pause};

/// Idle connections in the short form; a tenth as many are slow.
const CROWD: usize = 400;
/// Clients that ask for megabytes and read nothing, and clients that stop in the middle of a large frame.
const DEAF: usize = 20;
const HALVES: usize = 8;

const MIB: u64 = 1 << 20;
const FRAME_BYTES: u64 = 4 * MIB;
const QUEUED_BYTES: u64 = 12 * MIB;
const OPEN_BATCH_BYTES: u64 = 4 * MIB;
const WORKERS: u64 = 2;
/// What the configuration allows besides connections: frames being read, one open batch on each worker, the recent
/// batches, and room for the allocator's leftovers and for buffers of the file and socket layers.
const BUDGET_BYTES: u64 = QUEUED_BYTES + WORKERS * OPEN_BATCH_BYTES + 16 * MIB;

/// Without optimisation the state of a task is about twice as large.
const IDLE_BYTES: u64 = if cfg!(debug_assertions) { 16 * 1024 } else { 8 * 1024 };

/// A frame that began has a buffer of its first read.
const SLOW_BYTES: u64 = IDLE_BYTES + 20 * 1024;

/// What a well-behaved client may see at the 99th percentile, unless it saw a quarter of it when it was alone: the
/// machine may be running other tests at the same time.
const LATENCY_LIMIT: Duration = Duration::from_millis(150);

/// How long a well-behaved client may wait for the memory that unfinished frames of others hold: they lose their
/// connections half a second after they got room and did nothing with it, some of them one after the other.
const ROOM_LIMIT: Duration = Duration::from_secs(10);

/// Latencies of a client that writes a record and reads it back, and the largest memory seen meanwhile.
#[derive(Default)]
struct Probe {
    latencies: Vec<Duration>,
    most_bytes: u64,
}

impl Probe {
    fn run(broker: &Broker, client: &mut Client, span: Duration) -> Probe {
        let mut probe = Probe::default();
        let began = now();
        while began.elapsed() < span {
            let asked = now();
            let written = client.produce("probe", 0, batch(&["x"]));
            assert_eq!(written.error_code, 0, "{:?}", written.error_message);
            probe.latencies.push(asked.elapsed());
            let asked = now();
            assert_eq!(values(&client.fetch("probe", 0, written.base_offset, 500)), ["x"]);
            probe.latencies.push(asked.elapsed());
            probe.most_bytes = probe.most_bytes.max(broker.anonymous_bytes());
            pause(Duration::from_millis(5));
        }
        probe.latencies.sort();
        probe
    }

    fn quantile(&self, percent: usize) -> Duration {
        self.latencies[(self.latencies.len() * percent / 100).min(self.latencies.len() - 1)]
    }
}

#[expect(clippy::disallowed_methods, reason = "the latency that a client sees is real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stderr, reason = "the long form's result")]
fn report(line: &str) {
    eprintln!("{line}");
}

/// Both ends of every connection need a descriptor; the broker sees to its own.
fn raise_file_limit(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(wanted);
    assert!(most >= wanted, "this needs {wanted} open files and the hard limit is {most}: `ulimit -Hn`");
    let raised = Rlimit { current: Some(wanted.max(limit.current.unwrap_or(wanted))), ..limit };
    setrlimit(Resource::Nofile, raised).expect("below the hard limit");
}

/// Connections that have asked something once and are silent since.
fn idle(broker: &Broker, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(broker)).collect();
    for client in &mut clients {
        assert_eq!(client.call(0, &ApiVersionsRequest::default()).error_code, 0);
    }
    clients
}

/// Connections that have begun a small frame, for [`drip`].
fn slow(broker: &Broker, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(broker)).collect();
    for client in &mut clients {
        client.stream.write_all(&1_000_i32.to_be_bytes()).expect("sent");
    }
    clients
}

/// One more byte on each connection every second.
fn drip(mut clients: Vec<Client>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let round = now();
        for client in &mut clients {
            client.stream.write_all(&[0]).expect("the broker waits for the rest of the frame");
        }
        while round.elapsed() < Duration::from_secs(1) && !stop.load(Ordering::Relaxed) {
            pause(Duration::from_millis(20));
        }
    }
}

/// Connections that ask for 20 MB each and never read.
fn deaf(broker: &Broker) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..DEAF).map(|_| Client::connect(broker)).collect();
    for client in &mut clients {
        for _ in 0..20 {
            client.send(11, &fetch_request("large", 0, 0, 0));
        }
    }
    clients
}

/// Connections that send half of the largest frame: together several times the budget.
fn halves(broker: &Broker) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..HALVES).map(|_| Client::connect(broker)).collect();
    let half = vec![0; usize::try_from(FRAME_BYTES / 2).expect("small")];
    for client in &mut clients {
        client.stream.write_all(&i32::try_from(FRAME_BYTES).expect("small").to_be_bytes()).expect("sent");
        // The broker stops reading when the budget is used up; what then does not fit the socket stays here.
        client.stream.set_nonblocking(true).expect("a socket");
        let mut rest = &half[..];
        for _ in 0..50 {
            match client.stream.write(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(_) => pause(Duration::from_millis(1)),
            }
        }
    }
    clients
}

/// Sends bombs until told to stop; the number of bombs.
fn throw_bombs(mut client: Client, stop: &AtomicBool) -> u64 {
    let bomb = build(Builder::new(Compression::Zstd), &["0".repeat(32 << 20).as_str()]);
    let mut thrown = 0;
    while !stop.load(Ordering::Relaxed) {
        let answer = client.produce("probe", 0, bomb.clone());
        assert_eq!(answer.error_code, code(ErrorCode::MessageTooLarge), "{:?}", answer.error_message);
        thrown += 1;
        pause(Duration::from_millis(20));
    }
    thrown
}

#[test]
fn a_crowd_costs_bounded_memory_and_nobody_elses_time() {
    let crowd = std::env::var("PENSTOCK_CROWD").map_or(CROWD, |text| text.parse().expect("a number"));
    raise_file_limit(crowd as u64 * 12 / 10 + 500);
    let dir = Arc::new(tempfile::tempdir().expect("a directory"));
    // Only root may mount; without it the disk does not fill up.
    let small = Small::mount(&dir.path().join("data"), "128m");
    let settings = [
        format!("socket.request.max.bytes={FRAME_BYTES}"),
        format!("queued.max.request.bytes={QUEUED_BYTES}"),
        format!("penstock.max.decompressed.bytes={OPEN_BATCH_BYTES}"),
        "message.max.bytes=2000000".to_owned(),
        "penstock.read.stall.ms=600000".to_owned(),
        "penstock.write.stall.ms=600000".to_owned(),
    ];
    let mut broker = Broker::start_in(Arc::clone(&dir), settings.to_vec());
    broker.expect("the disk is full");
    broker.expect("checkpoints could not be written");
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("probe", 1, &[]), 0);
    assert_eq!(client.create("large", 1, &[]), 0);
    let large = "x".repeat(900_000);
    for _ in 0..16 {
        assert_eq!(client.produce("large", 0, batch(&[&large])).error_code, 0);
    }
    let alone = Probe::run(&broker, &mut client, Duration::from_secs(1));

    let before = broker.anonymous_bytes();
    let idle = idle(&broker, crowd);
    // After a second of silence a connection gives its buffer back.
    pause(Duration::from_millis(2_500));
    let each = broker.anonymous_bytes().saturating_sub(before) / crowd as u64;
    assert!(each <= IDLE_BYTES, "{each} bytes for an idle connection");

    let slow = slow(&broker, crowd / 10);
    let slow_count = slow.len() as u64;
    let stop = AtomicBool::new(false);
    let (deaf, halves) = (deaf(&broker), halves(&broker));
    let bomber = Client::connect(&broker);
    let (crowded, bombs) = thread::scope(|scope| {
        let dripping = scope.spawn(|| drip(slow, &stop));
        let bombing = scope.spawn(|| throw_bombs(bomber, &stop));
        let crowded =
            Probe::run(&broker, &mut client, Duration::from_secs(if crowd > CROWD { 15 } else { 3 }));
        stop.store(true, Ordering::Relaxed);
        dripping.join().expect("slow clients are left alone");
        (crowded, bombing.join().expect("each bomb is refused"))
    });
    let grown = crowded.most_bytes.saturating_sub(before);
    let allowed = BUDGET_BYTES + crowd as u64 * IDLE_BYTES + slow_count * SLOW_BYTES;
    report(&format!(
        "{crowd} idle connections: {each} bytes each; with {slow_count} slow, {DEAF} deaf, {HALVES} half frames and \
         {bombs} bombs of 32 MiB: {} of {} MiB; p50 {:?} -> {:?}, p99 {:?} -> {:?}",
        grown / MIB,
        allowed / MIB,
        alone.quantile(50),
        crowded.quantile(50),
        alone.quantile(99),
        crowded.quantile(99),
    ));
    assert!(grown <= allowed, "{grown} bytes, where {allowed} are allowed");
    let latency_limit = LATENCY_LIMIT.max(4 * alone.quantile(99));
    assert!(crowded.quantile(99) < latency_limit, "p99 {:?} in a crowd", crowded.quantile(99));
    assert!(bombs > 10, "{bombs} bombs are no attack");

    // A frame that needs a share of the budget, all of which the halves hold.
    let asked = now();
    assert_eq!(client.produce("large", 0, batch(&[&large])).error_code, 0);
    assert!(asked.elapsed() < ROOM_LIMIT, "{:?} until there was room", asked.elapsed());
    assert!(broker.metric(r#"penstock_broker_connections_closed_total{reason="read_crowded"}"#) >= 1.0);

    if let Some(small) = &small {
        fill_and_free(&broker, &mut client, small);
    }
    drop((idle, deaf, halves));
    let connections = || broker.metric("kafka_server_socket_server_metrics_connection_count");
    assert!(eventually(|| connections() <= 2.0), "{} connections are left", connections());
    assert_eq!(broker.metric("penstock_broker_panics_total"), 0.0);
    drop(broker);
}

/// With the crowd still there, the disk fills up: writes are refused, reads go on, and when there is room again writes
/// succeed without anybody's help.
fn fill_and_free(broker: &Broker, client: &mut Client, disk: &Small) {
    let filler = disk.fill();
    let refused = (0..200).map(|_| client.produce("probe", 0, batch(&[&"y".repeat(100_000)])));
    let refused = refused.into_iter().find(|answer| answer.error_code != 0).expect("the disk is full");
    assert_eq!(refused.error_code, code(ErrorCode::KafkaStorageError));
    assert!(broker.metric("penstock_broker_disk_full") >= 1.0);
    assert_eq!(values(&client.fetch("probe", 0, 0, 0))[0], "x");
    let end = client.offset("probe", 0, -1);
    std::fs::remove_file(&filler).expect("there");
    let again = client.produce("probe", 0, batch(&["again"]));
    assert_eq!((again.error_code, again.base_offset), (0, end), "{:?}", again.error_message);
    assert!(eventually(|| broker.metric("penstock_broker_disk_full") < 1.0));
    assert_eq!(values(&client.fetch("probe", 0, end, 0)), ["again"]);
}
