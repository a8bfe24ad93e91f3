//! Clients share what the broker has: one that takes too much of it does not keep others waiting.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, batch};
use super::process::{Broker, pause};

const KIB: usize = 1024;
const FRAME_BYTES: usize = 4 * KIB * KIB;

/// Unfinished frames of the greedy client: together many times the budget.
const GREEDY: usize = 40;

/// What each of them sends at a time and how often: above the pace at which a frame keeps its room while others wait.
const STEP_BYTES: usize = 24 * KIB;
const STEP_EVERY: Duration = Duration::from_millis(300);

/// How long a client that sends a frame now and then may wait: the half second after which it takes room from the greedy
/// one, the half second in which that one's connections notice, and what a busy machine adds. First come, first served
/// made it wait for as long as the greedy client likes.
const ROOM_LIMIT: Duration = Duration::from_secs(5);

#[expect(clippy::disallowed_methods, reason = "how long a client waits is real time")]
fn now() -> Instant {
    Instant::now()
}

/// Begins as many large frames as the broker lets it, goes on with each slowly, and comes back with another where a
/// connection is closed.
fn be_greedy(broker: &Broker, stop: &AtomicBool) {
    let begin = || {
        let mut client = Client::connect_from(broker, Ipv4Addr::new(127, 0, 0, 2));
        let length = i32::try_from(FRAME_BYTES).expect("small").to_be_bytes();
        client.stream.write_all(&length).expect("room for four bytes");
        client.stream.set_nonblocking(true).expect("a socket");
        client
    };
    let step = vec![0; STEP_BYTES];
    let mut clients: Vec<Client> = (0..GREEDY).map(|_| begin()).collect();
    while !stop.load(Ordering::Relaxed) {
        for client in &mut clients {
            match client.stream.write(&step) {
                Ok(_) => {}
                // The broker reads nothing of it while there is no room.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => *client = begin(),
            }
        }
        pause(STEP_EVERY);
    }
}

/// Ends the greedy client, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn unfinished_frames_of_one_client_do_not_delay_those_of_another() {
    let broker = Broker::start(&[
        &format!("socket.request.max.bytes={FRAME_BYTES}"),
        &format!("queued.max.request.bytes={}", 2 * FRAME_BYTES),
    ]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let large = batch(&[&"x".repeat(900_000)]);
    let stop = AtomicBool::new(false);
    let longest = thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| be_greedy(&broker, &stop));
        let short = || broker.metric("penstock_broker_request_bytes_waits_total") > 0.0;
        assert!(super::process::eventually(short), "the budget is used up");
        let mut longest = Duration::ZERO;
        for _ in 0..3 {
            let began = now();
            assert_eq!(client.produce("t", 0, large.clone()).error_code, 0);
            longest = longest.max(began.elapsed());
            pause(Duration::from_millis(200));
        }
        longest
    });
    assert!(longest < ROOM_LIMIT, "{longest:?} until there was room");
    assert!(broker.metric(r#"penstock_broker_connections_closed_total{reason="read_displaced"}"#) >= 1.0);
    assert!(broker.metric("penstock_broker_request_bytes_displaced_total") >= 1.0);
    assert!(broker.logs("made room for a client that holds less"));
}
