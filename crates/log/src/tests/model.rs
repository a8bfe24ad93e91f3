//! Random operations with crashes and faults, compared with a model that is a list of batches.
//!
//! What must hold after every crash:
//! - killed: the log holds exactly what was acknowledged, and of an append that was interrupted a prefix;
//! - power lost: the log holds at least what was flushed, and nothing but a prefix of what was appended;
//! - either way offsets, bytes, epochs, times and producers are those of the model up to the log's end.
//!
//! A failure prints the seed; `PENSTOCK_LOG_SEEDS=from..to` runs others than the default.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use protocol::batch::{Builder, Compression, Header, split};
use uuid::Uuid;

use super::fixture::read;
use crate::io::{Crash, Faulty};
use crate::{
    AppendError, Checkpoint, Extent, LogConfig, Origin, PartitionLog, ProducerError, Startup, Stopped, Store,
    StoreConfig,
};

const ROOT: &str = "/data";
const TOPIC: &str = "t";
/// Enough to meet every pair of operations many times; takes a few seconds unoptimised.
const DEFAULT_SEEDS: std::ops::Range<u64> = 0..100;
const STEPS: u64 = 120;
const PRODUCERS: u64 = 3;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// A batch that the log must hold: its header as stamped, and its records.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    header: Header,
    records: Bytes,
}

/// What may have happened to the end of the log when an operation was interrupted.
#[derive(Clone, Debug)]
enum InDoubt {
    Nothing,
    /// These may have been appended, or some of them.
    Appended(Vec<Kept>),
    /// The log may have been cut back, down to this offset.
    Truncated(i64),
}

struct World {
    random: Random,
    io: Faulty,
    store: Arc<Store<Faulty>>,
    log: PartitionLog<Faulty>,
    kept: Vec<Kept>,
    flushed: i64,
    in_doubt: InDoubt,
    /// Appends that failed since the last flush. The bytes may have reached the file and have been cut off, but
    /// until a flush a loss of power may undo the cut and what was appended after it.
    failed: Vec<Kept>,
    /// A deletion of old records was interrupted.
    start_in_doubt: bool,
    epoch: i32,
    now_ms: i64,
    boot: u64,
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 2_500,
        index_interval_bytes: 200,
        retention_ms: Some(400),
        timestamp_after_max_ms: None,
        ..LogConfig::default()
    }
}

fn open(
    io: &Faulty,
    boot: u64,
) -> (Arc<Store<Faulty>>, Startup, PartitionLog<Faulty>, crate::RecoveryReport) {
    let bounds = StoreConfig { max_open_files: 3, recent_bytes: 3_000, idle_buffer_bytes: 1 << 16 };
    let (store, startup) = Store::open(io.clone(), Path::new(ROOT), bounds, &boot.to_string()).unwrap();
    let known = startup.known(TOPIC, 0);
    let (log, report) =
        PartitionLog::open(&store, TOPIC, 0, Uuid::from_u128(1), Arc::new(config()), known).unwrap();
    (store, startup, log, report)
}

impl World {
    fn new(seed: u64) -> Self {
        let io = Faulty::new(seed ^ 0x5eed);
        let (store, _, log, _) = open(&io, 0);
        let (random, in_doubt, start_in_doubt, failed) = (Random(seed), InDoubt::Nothing, false, Vec::new());
        Self {
            random,
            io,
            store,
            log,
            kept: Vec::new(),
            flushed: 0,
            in_doubt,
            failed,
            start_in_doubt,
            epoch: 0,
            now_ms: 1_000,
            boot: 0,
        }
    }

    /// A loss of power may take records that were deleted by request and never flushed: the log then begins, and ends,
    /// where the deletion ended.
    fn end(&self) -> i64 {
        self.kept.last().map_or(0, |kept| kept.header.last_offset() + 1).max(self.log.start_offset())
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.now_ms += self.random.below(20) as i64;
            self.maybe_break_something();
            let choice = self.random.below(100);
            match choice {
                0..50 => self.append(),
                50..60 => self.append_again(),
                60..70 => self.flush(),
                70..74 => self.truncate(),
                74..78 => self.retain(),
                78..80 => self.delete_records(),
                80..84 => self.begin_epoch(),
                84..86 => self.stop_and_start(),
                86..90 => self.die(),
                _ => self.check(),
            }
            if self.io.is_down() {
                self.die();
            }
        }
        self.heal();
        self.check();
    }

    fn maybe_break_something(&mut self) {
        self.heal();
        match self.random.below(40) {
            0 | 1 => self.io.crash_after(self.random.below(6)),
            2 | 3 => self.io.set_free_bytes(Some(self.random.below(600))),
            4 => self.io.fail_writes(1),
            5..8 => self.io.set_short(true),
            _ => {}
        }
    }

    fn heal(&mut self) {
        self.io.set_free_bytes(None);
        self.io.set_short(false);
        self.io.fail_writes(0);
    }

    /// One to three batches, or one of an idempotent producer that goes on where its last one ended.
    fn append(&mut self) {
        let mut wanted = Vec::new();
        if self.random.below(3) == 0 {
            let producer = self.random.below(PRODUCERS) as i64;
            // The log may know a producer whose batches were deleted; one it forgot may go on anywhere.
            let last = self.kept.iter().rev().find(|kept| kept.header.producer_id == producer);
            let sequence = last.map_or(0, |last| last.header.last_sequence() + 1);
            wanted.push(self.batch(Some((producer, sequence))));
        } else {
            for _ in 0..=self.random.below(3) {
                wanted.push(self.batch(None));
            }
        }
        let mut next = self.end();
        let expected: Vec<Kept> = wanted
            .iter()
            .map(|batch| {
                let mut header = Header::parse(batch).unwrap();
                header.base_offset = next;
                header.leader_epoch = self.epoch;
                next = header.last_offset() + 1;
                Kept { header, records: batch.slice(Header::BYTES..) }
            })
            .collect();
        let bytes = Bytes::from(wanted.concat());
        match self.log.append_as_leader(&bytes, self.epoch, Origin::Client, self.now_ms) {
            Ok(info) => {
                assert!(!info.duplicate);
                assert_eq!((info.base_offset, info.last_offset + 1), (self.end(), next));
                self.kept.extend(expected);
                self.log.set_high_watermark(i64::MAX);
            }
            Err(AppendError::Storage(_)) => {
                self.failed.extend(expected.iter().cloned());
                self.in_doubt = InDoubt::Appended(expected);
            }
            Err(other) => panic!("{other}"),
        }
        self.settle();
    }

    /// A producer repeats one of its last five batches, or skips one.
    fn append_again(&mut self) {
        let producer = self.random.below(PRODUCERS) as i64;
        let recent = self.recent_of(producer);
        let Some(last) = recent.first().copied() else { return };
        let header = recent[self.random.below(recent.len() as u64) as usize];
        let mut again = Builder::new(Compression::None).producer(producer, 0, header.base_sequence);
        (0..header.record_count).for_each(|_| again.push(1, None, Some(b"again"), &[]));
        let again = again.build().unwrap().freeze();
        let info = self.log.append_as_leader(&again, self.epoch, Origin::Client, self.now_ms).unwrap();
        assert!(info.duplicate);
        assert_eq!((info.base_offset, info.last_offset), (header.base_offset, header.last_offset()));
        let skipping = self.batch(Some((producer, last.last_sequence() + 2)));
        match self.log.append_as_leader(&skipping, self.epoch, Origin::Client, self.now_ms) {
            Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. })) => {}
            other => panic!("{other:?}"),
        }
    }

    fn batch(&mut self, producer: Option<(i64, i32)>) -> Bytes {
        let mut builder = Builder::new(Compression::None);
        if let Some((id, sequence)) = producer {
            builder = builder.producer(id, 0, sequence);
        }
        let value = self.random.next().to_be_bytes().repeat(1 + self.random.below(20) as usize);
        for _ in 0..=self.random.below(4) {
            let timestamp = self.now_ms - self.random.below(30) as i64;
            builder.push(timestamp, Some(b"key"), Some(&value), &[]);
        }
        builder.build().unwrap().freeze()
    }

    /// The last batches of a producer that the log must still recognise, newest first: as many as it may have in flight.
    fn recent_of(&self, producer: i64) -> Vec<Header> {
        const IN_FLIGHT: usize = 5;
        let of_producer = self.kept.iter().rev().filter(|kept| kept.header.producer_id == producer);
        let known = of_producer.take(IN_FLIGHT).map(|kept| kept.header);
        known.filter(|header| header.base_offset >= self.log.start_offset()).collect()
    }

    fn flush(&mut self) {
        let extent = if self.random.below(2) == 0 { Extent::Batches } else { Extent::Everything };
        let Ok(prepared) = self.log.prepare_flush(extent) else { return };
        // Appends go on while the disk works.
        if self.random.below(2) == 0 {
            self.append();
        }
        let Some(flush) = prepared else { return };
        match flush.run() {
            Ok(done) => {
                self.log.flushed(&done);
                self.flushed = self.flushed.max(done.up_to().min(self.end()));
                self.failed.retain(|failed| failed.header.base_offset >= done.up_to());
                assert!(self.log.durable_offset() >= done.up_to().min(self.end()));
            }
            Err(_) => return self.die(),
        }
        if extent == Extent::Everything {
            self.write_checkpoints();
        }
    }

    fn write_checkpoints(&mut self) {
        let checkpoint = Checkpoint {
            topic: TOPIC,
            partition: 0,
            recovery_point: self.log.recovery_point(),
            start_offset: self.log.start_offset(),
            high_watermark: self.log.high_watermark(),
        };
        // One that fails leaves the old one, which is true as well, except after a truncation.
        let _ = self.store.write_checkpoints(&[checkpoint]);
    }

    fn truncate(&mut self) {
        self.heal();
        let target = self.end() - self.random.below(12) as i64;
        if target <= self.log.start_offset() {
            return;
        }
        let cut = self.kept.iter().position(|kept| kept.header.last_offset() >= target);
        let end = cut.map_or(self.end(), |at| self.kept[at].header.base_offset);
        match self.log.truncate_to(target) {
            Ok(()) => {
                self.kept.retain(|kept| kept.header.base_offset < end);
                self.flushed = self.flushed.min(end);
                assert_eq!(self.log.end_offset(), end);
                self.write_checkpoints();
                self.epoch += 1;
            }
            Err(_) => self.in_doubt = InDoubt::Truncated(end),
        }
        if self.io.is_down() {
            self.in_doubt = InDoubt::Truncated(end);
            self.die();
        }
        self.settle();
    }

    fn retain(&mut self) {
        if let Ok(garbage) = self.log.retain(self.now_ms) {
            let _ = garbage.remove();
        }
        self.start_in_doubt = self.io.is_down();
    }

    fn delete_records(&mut self) {
        let start = self.log.start_offset();
        let offset = start + self.random.below((self.end() - start) as u64 / 2 + 1) as i64;
        if let Ok(garbage) = self.log.delete_records(offset) {
            let _ = garbage.remove();
        }
        self.start_in_doubt = self.io.is_down();
        if !self.io.is_down() {
            assert_eq!(self.log.start_offset().max(offset), self.log.start_offset());
        }
    }

    fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.log.begin_epoch(self.epoch);
    }

    /// Without a crash, a failed operation has changed nothing.
    fn settle(&mut self) {
        if !self.io.is_down() {
            self.in_doubt = InDoubt::Nothing;
        }
    }

    fn stop_and_start(&mut self) {
        self.heal();
        let (store, _, fresh, _) = match self.log.prepare_flush(Extent::Everything) {
            Ok(flush) => {
                match flush.map(|flush| flush.run()) {
                    Some(Ok(done)) => self.log.flushed(&done),
                    Some(Err(_)) => return self.die(),
                    None => {}
                }
                self.flushed = self.end();
                self.write_checkpoints();
                if self.io.is_down() || self.store.mark_clean().is_err() {
                    return self.die();
                }
                // The planned crash, if there is one, belongs to the life that ends here.
                self.io.crash(Crash::Kill);
                open(&self.io, self.boot)
            }
            Err(_) => return self.die(),
        };
        (self.store, self.log) = (store, fresh);
        self.check();
    }

    /// The process dies, or the machine; the next start must find what it has to.
    fn die(&mut self) {
        self.heal();
        let crash = if self.random.below(2) == 0 { Crash::Kill } else { Crash::PowerLoss };
        self.io.crash(crash);
        if crash == Crash::PowerLoss {
            self.boot += 1;
        }
        let start_before = self.log.start_offset();
        let (store, startup, log, report) = open(&self.io, self.boot);
        (self.store, self.log) = (store, log);
        let end = self.log.end_offset();
        if startup.stopped == Stopped::MachineDied {
            self.adopt_failed(end);
        }
        let in_doubt = std::mem::replace(&mut self.in_doubt, InDoubt::Nothing);
        let mut least = if startup.stopped == Stopped::MachineDied { self.flushed } else { self.end() };
        match in_doubt {
            InDoubt::Nothing => {}
            // Among the failed ones, and adopted from there.
            InDoubt::Appended(_) if startup.stopped == Stopped::MachineDied => {}
            InDoubt::Appended(batches) => self.kept.extend(batches),
            InDoubt::Truncated(to) => least = least.min(to),
        }
        assert!(end >= least, "lost records: {crash:?} {report:?}: ends at {end}, not {least} or above");
        let boundary = end == 0 || self.kept.iter().any(|kept| kept.header.last_offset() + 1 == end);
        let emptied = end == self.log.start_offset();
        assert!(boundary || emptied, "ends at {end}, where no batch does");
        if crash == Crash::Kill {
            assert!(report.damage.is_none_or(|damage| !damage.in_the_middle), "a kill damages no middle");
        }
        let vanished = self.log.start_offset() > start_before;
        assert!(!vanished || self.start_in_doubt, "records vanished at the start");
        self.start_in_doubt = false;
        self.kept.retain(|kept| kept.header.last_offset() < end);
        self.flushed = self.flushed.min(end);
        self.log.set_high_watermark(i64::MAX);
        self.write_checkpoints();
        self.check();
    }

    /// Where the log holds a failed append behind what was flushed, so does the model.
    fn adopt_failed(&mut self, end: i64) {
        let headers = super::fixture::headers(&mut self.log, self.flushed.min(end));
        for header in headers.iter().filter(|header| header.base_offset >= self.flushed) {
            let is_it = |kept: &&Kept| kept.header == *header;
            if !self.kept.iter().any(|kept| is_it(&kept))
                && let Some(failed) = self.failed.iter().find(is_it).cloned()
            {
                self.kept.retain(|kept| kept.header.last_offset() < header.base_offset);
                self.kept.push(failed);
            }
        }
        self.failed.clear();
    }

    fn check(&mut self) {
        let start = self.log.start_offset();
        assert_eq!(self.log.end_offset(), self.end());
        let mut offset = start;
        let mut model = self.kept.iter().filter(|kept| kept.header.last_offset() >= start);
        while let Some((bytes, next)) = read(&mut self.log, offset, 700).unwrap() {
            for batch in split(bytes) {
                let batch = batch.unwrap();
                batch.check_crc().unwrap();
                let kept = model.next().expect("the log holds more than was appended");
                assert_eq!(*batch.header(), kept.header);
                assert_eq!(batch.bytes().slice(Header::BYTES..), kept.records);
            }
            assert!(next > offset);
            offset = next;
        }
        assert_eq!(model.next(), None, "the log holds less than was appended");
        self.check_one_offset(start);
        self.check_epochs(start);
        self.check_time(start);
    }

    fn check_one_offset(&mut self, start: i64) {
        if self.log.end_offset() == start {
            return;
        }
        let offset = start + self.random.below((self.log.end_offset() - start) as u64) as i64;
        let kept = self.kept.iter().find(|kept| kept.header.last_offset() >= offset).unwrap();
        let (bytes, _) = read(&mut self.log, offset, 1).unwrap().unwrap();
        assert_eq!(Header::parse(&bytes).unwrap(), kept.header);
    }

    fn check_epochs(&self, start: i64) {
        let visible = || self.kept.iter().filter(|kept| kept.header.base_offset >= start);
        for epoch in visible().map(|kept| kept.header.leader_epoch) {
            let next = visible().find(|kept| kept.header.leader_epoch > epoch);
            let end = next.map_or(self.log.end_offset(), |kept| kept.header.base_offset);
            let found = self.log.epoch_end_offset(epoch);
            assert_eq!((found.leader_epoch, found.end_offset), (epoch, end));
        }
    }

    fn check_time(&mut self, start: i64) {
        let wanted = self.now_ms - self.random.below(500) as i64;
        let expected =
            self.kept.iter().flat_map(records).find(|(offset, time)| *offset >= start && *time >= wanted);
        let found = self.log.offset_for_time(wanted).unwrap();
        assert_eq!(found.map(|found| (found.offset, found.timestamp_ms)), expected);
    }
}

fn records(kept: &Kept) -> Vec<(i64, i64)> {
    let bytes = [&kept_header_bytes(&kept.header)[..], &kept.records].concat();
    let batch = protocol::batch::Batch::parse(&Bytes::from(bytes)).unwrap();
    batch
        .records(1 << 20)
        .unwrap()
        .map(|record| record.map(|r| (r.offset, r.timestamp_ms)).unwrap())
        .collect()
}

/// A batch of the same header; its records are put behind it by the caller.
fn kept_header_bytes(header: &Header) -> Vec<u8> {
    let empty = Builder::replacing(header, Compression::None).build().unwrap();
    let mut bytes = empty[..Header::BYTES].to_vec();
    bytes[8..12].copy_from_slice(&header.batch_length.to_be_bytes());
    bytes[57..61].copy_from_slice(&header.record_count.to_be_bytes());
    bytes
}

#[test]
fn agrees_with_the_model() {
    let seeds = match std::env::var("PENSTOCK_LOG_SEEDS") {
        Ok(range) => {
            let (from, to) = range.split_once("..").expect("PENSTOCK_LOG_SEEDS=from..to");
            from.parse().unwrap()..to.parse().unwrap()
        }
        Err(_) => DEFAULT_SEEDS,
    };
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        if let Err(panic) = outcome {
            eprintln!("the model and the log disagree: PENSTOCK_LOG_SEEDS={seed}..{}", seed + 1);
            std::panic::resume_unwind(panic);
        }
    }
}
