//! Killed again and again while idempotent producers write: whatever was acknowledged is there once, in order, and at
//! the offset that was acknowledged.
//!
//! Here a few rounds. The long form, which takes about a minute:
//! `PENSTOCK_CRASH_ROUNDS=200 cargo test --package broker --test broker crashes -- --nocapture`

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::client::{Client, numbered, produce_request, records};
use super::process::{Broker, PATIENCE, pause};
use protocol::messages::produce::ProduceRequest;

/// Kills in the short form.
const ROUNDS: u64 = 5;
/// Producers with a partition of their own; as many again share one partition.
const PRODUCERS: usize = 3;
/// What Kafka's producer sends ahead of answers, and what a broker must be able to recognise again.
const IN_FLIGHT: usize = 5;
const TOPICS: [(&str, &[(&str, &str)]); 2] =
    [("cached", &[("retention.ms", "-1")]), ("synced", &[("retention.ms", "-1"), ("flush.messages", "1")])];

/// Length of a value: segments fill and roll every second or so.
const PADDED_BYTES: usize = 400;

/// Records of one batch, by the number that each carries.
#[derive(Clone, Copy, Debug)]
struct Sent {
    first: u64,
    count: u64,
}

/// What a producer was told.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    sent: Sent,
    base_offset: i64,
}

struct Producer {
    name: String,
    topic: &'static str,
    partition: i32,
    producer_id: i64,
    open: VecDeque<Sent>,
    next: u64,
    acknowledged: Vec<Acknowledged>,
}

impl Producer {
    fn request(&self, sent: Sent) -> ProduceRequest {
        let values: Vec<String> = (sent.first..sent.first + sent.count)
            .map(|number| format!("{:<PADDED_BYTES$}", format!("{}:{number}", self.name)))
            .collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let sequence = i32::try_from(sent.first).expect("a short test");
        let batch = numbered(self.producer_id, 0, sequence, &values);
        produce_request(self.topic, self.partition, batch, -1)
    }

    /// Keeps the window of open requests full until told to stop, and then waits for the last acknowledgement. Whatever
    /// happens to the connection, what is not acknowledged is sent again, in order, with its numbers.
    fn run(mut self, address: &Mutex<String>, stop: &AtomicBool) -> Producer {
        while !(stop.load(Ordering::Relaxed) && self.open.is_empty()) {
            let at = address.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Ok(stream) = TcpStream::connect(&at) {
                stream.set_nodelay(true).expect("a socket");
                stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
                // An error is the crash that we are here for.
                let _ = self.talk(Client::over(stream), stop);
            }
            pause(Duration::from_millis(2));
        }
        self
    }

    fn talk(&mut self, mut client: Client, stop: &AtomicBool) -> std::io::Result<()> {
        for sent in self.open.clone() {
            client.try_send(9, &self.request(sent))?;
        }
        loop {
            while self.open.len() < IN_FLIGHT && !stop.load(Ordering::Relaxed) {
                // Sizes vary, so that a sequence never happens to fit the wrong batch.
                let sent = Sent { first: self.next, count: 1 + self.next % 7 };
                self.next += sent.count;
                self.open.push_back(sent);
                client.try_send(9, &self.request(sent))?;
            }
            let Some(&sent) = self.open.front() else { return Ok(()) };
            let (_, response) = client.try_receive::<ProduceRequest>(9)?;
            let answer = &response.responses[0].partition_responses[0];
            assert_eq!(answer.error_code, 0, "{} {sent:?}: {:?}", self.name, answer.error_message);
            self.acknowledged.push(Acknowledged { sent, base_offset: answer.base_offset });
            self.open.pop_front();
        }
    }
}

/// What is wrong with a log, given what producers were told; empty if nothing is.
fn judge(producers: &[(&str, &[Acknowledged])], log: &[(i64, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (expected, (offset, value)) in (0..).zip(log) {
        if *offset != expected {
            problems.push(format!("offset {offset} where {expected} was expected"));
        }
        let Some((name, number)) = value.split_once(':').and_then(|(n, v)| Some((n, v.parse().ok()?))) else {
            problems.push(format!("offset {offset}: nobody sent {value}"));
            continue;
        };
        if !seen.insert(value.as_str()) {
            problems.push(format!("offset {offset}: {value} is there twice"));
        } else if let Some(before) = last.insert(name, number)
            && number != before + 1
        {
            problems.push(format!("offset {offset}: {value} follows {name}:{before}"));
        }
    }
    for (name, acknowledged) in producers {
        for Acknowledged { sent, base_offset } in *acknowledged {
            for (number, offset) in (sent.first..sent.first + sent.count).zip(*base_offset..) {
                let wanted = format!("{name}:{number}");
                let at = usize::try_from(offset).ok().and_then(|at| log.get(at));
                if at.is_none_or(|(_, value)| *value != wanted) {
                    let found = at.map_or("nothing", |(_, value)| value.as_str());
                    let lost = if seen.contains(wanted.as_str()) { "moved" } else { "lost" };
                    problems
                        .push(format!("{wanted} is {lost}: acknowledged at {offset}, where {found} stands"));
                }
            }
        }
    }
    problems
}

fn read_log(client: &mut Client, topic: &str, partition: i32) -> Vec<(i64, String)> {
    let end = client.offset(topic, partition, -1);
    let mut log: Vec<(i64, String)> = Vec::new();
    while let next = log.last().map_or(0, |(offset, _)| offset + 1)
        && next < end
    {
        let found = records(&client.fetch(topic, partition, next, 0));
        assert!(!found.is_empty(), "{topic}-{partition} ends at {next} and not at {end}");
        let found = found.into_iter().filter(|(offset, _)| *offset >= next);
        log.extend(found.map(|(offset, value)| (offset, value.trim_end().to_owned())));
    }
    log
}

#[test]
fn records_survive_kills_under_load_once_and_in_order() {
    let rounds =
        std::env::var("PENSTOCK_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number"));
    // Frequent checkpoints, so that kills also meet them, and small segments, so that they meet a roll.
    let settings = ["log.flush.offset.checkpoint.interval.ms=40", "log.segment.bytes=1048576"];
    let mut broker = Broker::start(&settings);
    let mut client = Client::connect(&broker);
    let mut producers = Vec::new();
    for (topic, configs) in TOPICS {
        assert_eq!(client.create(topic, PRODUCERS as i32 + 1, configs), 0);
        for number in 0..2 * PRODUCERS {
            producers.push(Producer {
                name: format!("{topic}{number}"),
                topic,
                partition: number.min(PRODUCERS) as i32,
                producer_id: client.producer_id(),
                open: VecDeque::new(),
                next: 0,
                acknowledged: Vec::new(),
            });
        }
    }
    let address = Arc::new(Mutex::new(broker.address.clone()));
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = producers
        .into_iter()
        .map(|producer| {
            let (address, stop) = (Arc::clone(&address), Arc::clone(&stop));
            thread::spawn(move || producer.run(&address, &stop))
        })
        .collect();
    for round in 0..rounds {
        // Between a tenth and a third of a second of load, in no rhythm with the checkpoints.
        pause(Duration::from_millis(100 + round * 37 % 230));
        broker = broker.crash_and_restart();
        *address.lock().unwrap_or_else(PoisonError::into_inner) = broker.address.clone();
    }
    pause(Duration::from_millis(100));
    stop.store(true, Ordering::Relaxed);
    let producers: Vec<Producer> =
        workers.into_iter().map(|worker| worker.join().expect("no refusal")).collect();

    let mut client = Client::connect(&broker);
    let (mut total, mut stored) = (0, 0);
    for (topic, _) in TOPICS {
        for partition in 0..=PRODUCERS as i32 {
            let here = producers.iter().filter(|it| it.topic == topic && it.partition == partition);
            let here: Vec<_> = here.map(|it| (it.name.as_str(), it.acknowledged.as_slice())).collect();
            total += here.iter().flat_map(|(_, acks)| *acks).map(|ack| ack.sent.count).sum::<u64>();
            let log = read_log(&mut client, topic, partition);
            stored += log.len() as u64;
            let problems = judge(&here, &log);
            assert!(problems.is_empty(), "{topic}-{partition}: {:#?}", &problems[..problems.len().min(10)]);
        }
    }
    assert!(total > rounds * 50, "{total} records are no load");
    assert_eq!(stored, total, "everything was acknowledged in the end, so nothing else may be there");
    let fewest = producers.iter().map(|it| it.next).min();
    eprintln!(
        "{rounds} kills, {total} records acknowledged, each there once; least by a producer {fewest:?}"
    );
}

#[test]
fn the_judge_finds_what_is_lost_doubled_moved_reordered_or_strange() {
    let acks = [(0, 2, 0), (2, 1, 3)]
        .map(|(first, count, base_offset)| Acknowledged { sent: Sent { first, count }, base_offset });
    let verdict = |values: &[&str]| {
        let log: Vec<(i64, String)> = (0..).zip(values.iter().map(ToString::to_string)).collect();
        judge(&[("a", &acks)], &log)
    };
    assert_eq!(verdict(&["a:0", "a:1", "b:0", "a:2"]), Vec::<String>::new());
    for (values, problem) in [
        (&["a:0", "a:1", "b:0"][..], "a:2 is lost"),
        (&["a:0", "a:1", "a:1", "a:2"], "a:1 is there twice"),
        (&["a:0", "a:1", "a:2", "b:0"], "a:2 is moved"),
        (&["a:0", "a:1", "b:1", "a:2", "b:0"], "b:0 follows b:1"),
        (&["a:0", "a:1", "b:0", "a:2", "what"], "nobody sent what"),
    ] {
        let problems = verdict(values);
        assert!(problems.iter().any(|it| it.contains(problem)), "{values:?}: {problems:?}");
    }
    let gap = judge(&[], &[(0, "a:0".into()), (2, "a:1".into())]);
    assert!(gap[0].contains("offset 2 where 1 was expected"), "{gap:?}");
}
