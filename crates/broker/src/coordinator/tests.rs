//! The runtime with a machine that only counts, on a log in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::machine::{Effects, Machine, Now, Record, Waiter};
use super::runtime::{Environment, Runtime};
use crate::durable::Durable;
use crate::internal_topic::{Appended, InternalTopic};

/// How long a test waits for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who is to be told that a batch is on the disk.
type Flush = oneshot::Sender<Result<(), ErrorCode>>;

/// A topic of two partitions in memory.
#[derive(Default)]
struct Memory {
    partitions: OnceLock<[Mutex<Vec<Bytes>>; 2]>,
    is_full: AtomicBool,
    /// Appends are durable only when this is answered.
    flushes: Option<Mutex<Vec<Flush>>>,
}

impl InternalTopic for Memory {
    fn partition_count(&self) -> Option<i32> {
        self.partitions.get().map(|_| 2)
    }

    fn ensure(&self) -> Result<Durable, ErrorCode> {
        self.partitions.get_or_init(Default::default);
        Ok(Durable::already())
    }

    fn append(&self, partition: i32, batches: Bytes, _now_ms: i64) -> Result<Appended, ErrorCode> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(ErrorCode::KafkaStorageError);
        }
        self.partitions.get().unwrap()[partition as usize].lock().unwrap().push(batches);
        let durable = match &self.flushes {
            None => Durable::already(),
            Some(flushes) => {
                let (sender, receiver) = oneshot::channel();
                flushes.lock().unwrap().push(sender);
                Durable::pending(receiver)
            }
        };
        Ok(Appended { base_offset: 0, durable })
    }

    fn replay(&self, partition: i32, show: &mut dyn FnMut(Bytes)) -> Result<(), ErrorCode> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(ErrorCode::KafkaStorageError);
        }
        let batches = self.partitions.get().unwrap()[partition as usize].lock().unwrap().clone();
        batches.into_iter().for_each(show);
        Ok(())
    }
}

/// Counts what is stored. Can also be asked to wait for a time, and to panic.
#[derive(Default)]
struct Tally {
    count: u64,
    rings_at_ms: Option<(u64, Waiter)>,
}

impl Tally {
    fn add(&mut self, waiter: Waiter, _now: Now, out: &mut Effects<Result<u64, ErrorCode>, Waiter>) {
        let record = Record { key: Bytes::from_static(b"k"), value: Some(Bytes::from_static(b"v")) };
        out.append(Ok(vec![record]), waiter);
    }

    fn ring(&mut self, waiter: Waiter, now: Now, after_ms: u64) {
        self.rings_at_ms = Some((now.steady_ms + after_ms, waiter));
    }
}

impl Machine for Tally {
    type Reply = Result<u64, ErrorCode>;
    type Ticket = Waiter;

    fn replay(&mut self, _record: Record) {
        self.count += 1;
    }

    fn loaded(&mut self, _now: Now) {}

    fn stored(
        &mut self,
        ticket: Waiter,
        outcome: Result<(), ErrorCode>,
        _now: Now,
        out: &mut Effects<Self::Reply, Waiter>,
    ) {
        self.count += u64::from(outcome.is_ok());
        out.reply(ticket, outcome.map(|()| self.count));
    }

    fn tick(&mut self, now: Now, out: &mut Effects<Self::Reply, Waiter>) {
        if let Some((_, waiter)) = self.rings_at_ms.take_if(|(at_ms, _)| *at_ms <= now.steady_ms) {
            out.reply(waiter, Ok(0));
        }
    }

    fn next_deadline_ms(&self) -> Option<u64> {
        self.rings_at_ms.map(|(at_ms, _)| at_ms)
    }

    fn upkeep(&mut self, _now: Now, _out: &mut Effects<Self::Reply, Waiter>) {}
}

fn runtime(log: &Arc<Memory>) -> Arc<Runtime<Tally>> {
    let gauge = |name: &str| prometheus::IntGauge::new(name, "for a test").unwrap();
    let environment = Environment {
        wall_ms: || 0,
        waiting: gauge("waiting"),
        load_ms: gauge("load_ms"),
        upkeep_every: Duration::from_secs(3600),
    };
    Arc::new(Runtime::new(Arc::clone(log) as _, environment, Tally::default))
}

async fn add(runtime: &Arc<Runtime<Tally>>) -> Result<u64, ErrorCode> {
    runtime.ask("key", &CancellationToken::new(), Tally::add).await.and_then(|reply| reply)
}

#[tokio::test]
async fn the_first_request_makes_the_topic_and_a_refused_append_changes_nothing() {
    let log = Arc::new(Memory::default());
    let runtime = runtime(&log);
    assert_eq!(runtime.each(|_| ()), Ok(()), "looking makes nothing");
    assert_eq!(log.partition_count(), None);
    assert_eq!(add(&runtime).await, Ok(1));
    log.is_full.store(true, Ordering::Relaxed);
    assert_eq!(add(&runtime).await, Err(ErrorCode::KafkaStorageError));
    log.is_full.store(false, Ordering::Relaxed);
    assert_eq!(add(&runtime).await, Ok(2));
}

#[tokio::test]
async fn a_topic_that_exists_is_loaded_first_and_again_until_it_can_be_read() {
    let log = Arc::new(Memory::default());
    let before = runtime(&log);
    for _ in 0..3 {
        add(&before).await.unwrap();
    }
    let after = runtime(&log);
    assert_eq!(add(&after).await, Err(ErrorCode::CoordinatorLoadInProgress));
    log.is_full.store(true, Ordering::Relaxed);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&after).run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(add(&after).await, Err(ErrorCode::CoordinatorLoadInProgress));
    log.is_full.store(false, Ordering::Relaxed);
    let loaded = async {
        while after.each(|_| ()).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, loaded).await.expect("it is tried again");
    assert_eq!(add(&after).await, Ok(4));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn nobody_is_answered_before_the_append_is_durable() {
    let log = Arc::new(Memory { flushes: Some(Mutex::default()), ..Memory::default() });
    let runtime = runtime(&log);
    let asking = tokio::spawn({
        let runtime = Arc::clone(&runtime);
        async move { add(&runtime).await }
    });
    let flush = async {
        loop {
            if let Some(flush) = log.flushes.as_ref().and_then(|flushes| flushes.lock().unwrap().pop()) {
                return flush;
            }
            tokio::task::yield_now().await;
        }
    };
    let flush = tokio::time::timeout(PATIENCE, flush).await.expect("it appends");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!asking.is_finished());
    flush.send(Ok(())).unwrap();
    assert_eq!(asking.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn who_waits_is_answered_in_time_or_when_the_broker_stops() {
    let log = Arc::new(Memory::default());
    let runtime = runtime(&log);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&runtime).run(stop.clone()));
    let soon = runtime.ask("key", &stop, |tally, waiter, now, _| tally.ring(waiter, now, 30));
    assert_eq!(tokio::time::timeout(PATIENCE, soon).await.expect("it rings"), Ok(Ok(0)));
    let late = runtime.ask("key", &stop, |tally, waiter, now, _| tally.ring(waiter, now, 3_600_000));
    let (late, ()) = tokio::join!(late, async { stop.cancel() });
    assert_eq!(late, Err(ErrorCode::CoordinatorNotAvailable));
    running.await.unwrap();
}

#[tokio::test]
async fn a_machine_that_panicked_is_loaded_again() {
    let log = Arc::new(Memory::default());
    let runtime = runtime(&log);
    assert_eq!(add(&runtime).await, Ok(1));
    let stop = CancellationToken::new();
    let panicking = tokio::spawn({
        let runtime = Arc::clone(&runtime);
        async move { runtime.step("key", |_, _, _| panic!("a bug, for this test")) }
    });
    let outcome: Result<Result<(), ErrorCode>, _> = panicking.await;
    assert!(outcome.is_err_and(|error| error.is_panic()));
    assert_eq!(add(&runtime).await, Err(ErrorCode::CoordinatorLoadInProgress));
    let running = tokio::spawn(Arc::clone(&runtime).run(stop.clone()));
    let loaded = async {
        while runtime.each(|_| ()).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, loaded).await.expect("it is loaded again");
    assert_eq!(add(&runtime).await, Ok(2));
    stop.cancel();
    running.await.unwrap();
}
