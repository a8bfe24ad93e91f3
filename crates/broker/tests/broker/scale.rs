//! Many partitions in one process: what they cost while nobody uses them, and after a start.
//!
//! Here some thousands. The long form, with a hundred thousand partitions of which ten thousand are written to:
//! `PENSTOCK_TOPICS=1000 PENSTOCK_BROKER=$PWD/target/release/penstock-broker cargo test --package broker --test broker
//! scale -- --nocapture`

use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use super::client::{Client, batch, values};
use super::process::{Broker, pause};

const TOPICS: usize = 30;
const PARTITIONS: i32 = 100;

/// An idle partition may hold so much, its share of its topic included.
const PARTITION_BYTES: u64 = 4 * 1024;

/// One that was written to and is idle again: its log is open, with the place where it ends and a batch's first offset,
/// and without a file.
const WRITTEN_BYTES: u64 = 8 * 1024;

#[expect(clippy::disallowed_methods, reason = "how long something takes is real time")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

#[expect(clippy::print_stderr, reason = "the long form's result")]
fn report(line: &str) {
    eprintln!("{line}");
}

/// One batch for every partition of a topic.
fn to_all_partitions(topic: &str, records: &Bytes) -> ProduceRequest {
    let partition_data =
        (0..PARTITIONS).map(|index| PartitionProduceData { index, records: Some(records.clone()) }).collect();
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData { name: topic.into(), partition_data, ..Default::default() }],
        ..ProduceRequest::default()
    }
}

#[test]
fn idle_partitions_cost_next_to_nothing_and_starts_are_quick() {
    let topics = std::env::var("PENSTOCK_TOPICS").map_or(TOPICS, |text| text.parse().expect("a number"));
    let partitions = topics as u64 * PARTITIONS.unsigned_abs() as u64;
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    // The connection is counted with what is there before.
    assert_eq!(client.create("first", 1, &[]), 0);
    let (memory, files) = (broker.anonymous_bytes(), broker.open_files());
    let ((), creating) = timed(|| {
        for topic in 0..topics {
            assert_eq!(client.create(&format!("t{topic}"), PARTITIONS, &[]), 0);
        }
    });
    pause(Duration::from_millis(1_500));
    let each = broker.anonymous_bytes().saturating_sub(memory) / partitions;
    let opened = broker.open_files() - files;
    let before = broker.cpu_seconds();
    pause(Duration::from_secs(2));
    let idle = (broker.cpu_seconds() - before) / 2.0;
    report(&format!(
        "{partitions} partitions in {topics} topics: created in {creating:?}, {} KB in all, {each} bytes each, {opened} \
         more open files, {:.1} % of a core when idle",
        broker.anonymous_bytes() / 1000,
        idle * 100.0,
    ));
    assert!(each <= PARTITION_BYTES, "{each} bytes for an idle partition");
    assert_eq!(opened, 0, "an idle partition holds no file");
    assert!(idle < 0.05, "{idle} of a core with nothing to do");

    let written_topics = topics / 10;
    let written = written_topics as u64 * PARTITIONS.unsigned_abs() as u64;
    let memory = broker.anonymous_bytes();
    let records = batch(&["x"]);
    let ((), first) = timed(|| write_to_all(&mut client, written_topics, &records));
    let ((), second) = timed(|| write_to_all(&mut client, written_topics, &records));
    let (broker, stopping) = timed(|| broker.stop_and_restart());
    report(&format!(
        "a first batch for each of {written} partitions took {first:?}, a second {second:?}; stopped and ready again \
         after {stopping:?}, of which {} ms to be ready",
        broker.ready_ms,
    ));
    let mut client = Client::connect(&broker);
    let last = format!("t{}", written_topics - 1);
    assert_eq!(values(&client.fetch(&last, PARTITIONS - 1, 0, 0)), ["x", "x"]);
    write_to_all(&mut client, written_topics, &records);
    if topics > TOPICS {
        // Files that nobody used for a while are closed; a while is longer than the short form may take.
        let few = || broker.open_files() < files + 20;
        assert!(super::process::eventually(few), "{} files are open", broker.open_files());
    }
    let each = broker.anonymous_bytes().saturating_sub(memory) / written;
    let (broker, crashing) = timed(|| broker.crash_and_restart());
    report(&format!(
        "{each} bytes more for one that was written to; killed and ready again after {crashing:?}, of which {} ms to be \
         ready",
        broker.ready_ms,
    ));
    assert!(each <= WRITTEN_BYTES, "{each} bytes for a partition that was written to");
    let mut client = Client::connect(&broker);
    assert_eq!(values(&client.fetch(&last, PARTITIONS - 1, 0, 0)), ["x", "x", "x"]);
}

fn write_to_all(client: &mut Client, topics: usize, records: &Bytes) {
    for topic in 0..topics {
        let answer = client.call(9, &to_all_partitions(&format!("t{topic}"), records));
        for partition in &answer.responses[0].partition_responses {
            assert_eq!(partition.error_code, 0, "{:?}", partition.error_message);
        }
    }
}
