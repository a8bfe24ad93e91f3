//! Random operations with crashes and faults, compared with a model that is a list of batches.
//!
//! What must hold after every crash:
//! - killed: the log holds exactly what was acknowledged, and of an append that was interrupted a prefix;
//! - power lost: the log holds at least what was flushed, and nothing but a prefix of what was appended;
//! - either way offsets, bytes, epochs, times and producers are those of the model up to the log's end.
//!
//! Here records have no keys that matter; compaction and transactions have a model of their own, `committed`.

mod checks;

use bytes::Bytes;
use protocol::batch::{Builder, Compression, Header};

use super::rig::{Birth, Random, Rig, for_each_seed};
use crate::io::Crash;
use crate::{AppendError, DeleteError, Extent, LogConfig, Origin, ProducerError, Stopped};

/// Enough to meet every pair of operations many times; takes a few seconds unoptimised.
const DEFAULT_SEEDS: std::ops::Range<u64> = 0..60;
const STEPS: u64 = 120;
const PRODUCERS: u64 = 3;

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
    rig: Rig,
    kept: Vec<Kept>,
    flushed: i64,
    in_doubt: InDoubt,
    /// Appends that failed since the last flush, and what a cut took that was interrupted by a kill. The bytes may
    /// have been in the file and have been cut off, but until a flush a loss of power may undo the cut and what was
    /// appended after it.
    failed: Vec<Kept>,
    /// A deletion of old records was interrupted.
    start_in_doubt: bool,
    /// Where the log began at the most. What was deleted may come back with a crash, but the epochs of it need not.
    latest_start: i64,
    epoch: i32,
    now_ms: i64,
}

/// Small segments, and of everything that may end one or remove one sometimes a little, sometimes nothing.
fn config(seed: u64) -> LogConfig {
    LogConfig {
        segment_bytes: 2_500,
        segment_ms: if seed % 3 == 1 { 150 } else { i64::MAX },
        index_interval_bytes: 200,
        segment_index_bytes: if seed % 5 == 1 { 60 } else { 10 << 20 },
        retention_ms: (seed % 7 != 1).then_some(400),
        retention_bytes: (seed % 4 == 1).then_some(6_000),
        timestamp_after_max_ms: None,
        ..LogConfig::default()
    }
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            rig: Rig::new(seed, config(seed)),
            kept: Vec::new(),
            flushed: 0,
            in_doubt: InDoubt::Nothing,
            failed: Vec::new(),
            start_in_doubt: false,
            latest_start: 0,
            epoch: 0,
            now_ms: 1_000,
        }
    }

    /// A loss of power may take records that were deleted by request and never flushed: the log then begins, and ends,
    /// where the deletion ended.
    fn end(&self) -> i64 {
        self.kept.last().map_or(0, |kept| kept.header.last_offset() + 1).max(self.rig.log.start_offset())
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            // Now and then nothing happens for so long that everything expires.
            self.now_ms += if self.random.one_in(80) { 600 } else { self.random.below(20) as i64 };
            self.maybe_break_something();
            let choice = self.random.below(100);
            match choice {
                0..50 => self.append(),
                50..60 => self.append_again(),
                60..70 => self.flush(),
                70..73 => self.truncate(),
                73 => self.restart_elsewhere(),
                74..78 => self.retain(),
                78..80 => self.delete_records(),
                80..84 => self.begin_epoch(),
                84..86 => self.stop_and_start(),
                86..90 => self.die(),
                _ => self.check(),
            }
            if self.rig.io.is_down() {
                self.die();
            }
        }
        self.check();
    }

    fn maybe_break_something(&mut self) {
        self.rig.heal();
        match self.random.below(40) {
            0 | 1 => self.rig.io.crash_after(self.random.below(6)),
            2 | 3 => self.rig.io.set_free_bytes(Some(self.random.below(600))),
            4 => self.rig.io.fail_writes(1),
            5 => self.rig.io.fail_reads(1),
            6 => self.rig.io.fail_syncs(1),
            7..10 => self.rig.io.set_short(true),
            _ => {}
        }
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
        match self.rig.log.append_as_leader(&bytes, self.epoch, Origin::Client, self.now_ms) {
            Ok(info) => {
                assert!(!info.duplicate);
                assert_eq!((info.base_offset, info.last_offset + 1), (self.end(), next));
                self.kept.extend(expected);
                if !self.random.one_in(3) {
                    self.rig.log.set_high_watermark(i64::MAX);
                }
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
        let info = self.rig.log.append_as_leader(&again, self.epoch, Origin::Client, self.now_ms).unwrap();
        assert!(info.duplicate);
        assert_eq!((info.base_offset, info.last_offset), (header.base_offset, header.last_offset()));
        let skipping = self.batch(Some((producer, last.last_sequence() + 2)));
        match self.rig.log.append_as_leader(&skipping, self.epoch, Origin::Client, self.now_ms) {
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
        known.filter(|header| header.base_offset >= self.rig.log.start_offset()).collect()
    }

    fn flush(&mut self) {
        let extent = if self.random.below(2) == 0 { Extent::Batches } else { Extent::Everything };
        let Ok(prepared) = self.rig.log.prepare_flush(extent) else { return };
        // Appends go on while the disk works.
        if self.random.below(2) == 0 {
            self.append();
        }
        let Some(flush) = prepared else { return };
        match flush.run() {
            Ok(done) => {
                self.rig.log.flushed(&done);
                self.flushed = self.flushed.max(done.up_to().min(self.end()));
                self.failed.retain(|failed| failed.header.base_offset >= done.up_to());
                assert!(self.rig.log.durable_offset() >= done.up_to().min(self.end()));
            }
            Err(_) => return self.die(),
        }
        if extent == Extent::Everything {
            self.write_checkpoints();
        }
    }

    fn write_checkpoints(&mut self) {
        // If that fails, the old ones are still true, except after a truncation.
        let _ = self.rig.write_checkpoints();
    }

    fn truncate(&mut self) {
        self.rig.heal();
        let target = self.end() - self.random.below(12) as i64;
        if target <= self.rig.log.start_offset() {
            return;
        }
        let cut = self.kept.iter().position(|kept| kept.header.last_offset() >= target);
        let end = cut.map_or(self.end(), |at| self.kept[at].header.base_offset);
        match self.rig.log.truncate_to(target) {
            Ok(()) => {
                self.kept.retain(|kept| kept.header.base_offset < end);
                self.flushed = self.flushed.min(end);
                assert_eq!(self.rig.log.end_offset(), end);
                self.write_checkpoints();
                self.epoch += 1;
            }
            Err(_) => self.in_doubt = InDoubt::Truncated(end),
        }
        if self.rig.io.is_down() {
            self.in_doubt = InDoubt::Truncated(end);
            self.die();
        }
        self.settle();
    }

    /// What the log has is worth nothing: it begins anew, before or behind.
    fn restart_elsewhere(&mut self) {
        self.rig.heal();
        if !self.random.one_in(3) {
            return;
        }
        let (start, end) = (self.rig.log.start_offset(), self.end());
        let target =
            if self.random.one_in(2) { end + 10 } else { start - self.random.below(5) as i64 }.max(0);
        let done =
            if target > start { self.rig.log.restart_at(target) } else { self.rig.log.truncate_to(target) };
        match done {
            Ok(()) => {
                assert_eq!((self.rig.log.start_offset(), self.rig.log.end_offset()), (target, target));
                self.kept.clear();
                self.failed.clear();
                (self.flushed, self.latest_start) = (target, target);
                self.write_checkpoints();
                self.epoch += 1;
            }
            Err(_) => assert!(self.rig.io.is_down()),
        }
        if self.rig.io.is_down() {
            // Everything may be gone, and where an empty log begins is what the last checkpoints say.
            self.in_doubt = InDoubt::Truncated(0);
            self.start_in_doubt = true;
            self.die();
        }
    }

    fn retain(&mut self) {
        if let Ok(garbage) = self.rig.log.retain(self.now_ms) {
            let _ = garbage.remove();
        }
        self.latest_start = self.latest_start.max(self.rig.log.start_offset());
        self.start_in_doubt = self.rig.io.is_down();
    }

    fn delete_records(&mut self) {
        let (start, replicated) = (self.rig.log.start_offset(), self.rig.log.high_watermark());
        assert!(matches!(self.rig.log.delete_records(replicated + 1), Err(DeleteError::OutOfRange { .. })));
        let offset = start + self.random.below((replicated - start) as u64 / 2 + 1) as i64;
        if let Ok(garbage) = self.rig.log.delete_records(offset) {
            let _ = garbage.remove();
        }
        self.latest_start = self.latest_start.max(self.rig.log.start_offset());
        self.start_in_doubt = self.rig.io.is_down();
        if !self.rig.io.is_down() {
            assert_eq!(self.rig.log.start_offset().max(offset), self.rig.log.start_offset());
        }
    }

    fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.rig.log.begin_epoch(self.epoch);
    }

    /// Without a crash, a failed operation has changed nothing.
    fn settle(&mut self) {
        if !self.rig.io.is_down() {
            self.in_doubt = InDoubt::Nothing;
        }
    }

    fn stop_and_start(&mut self) {
        self.rig.heal();
        if self.rig.stop().is_err() {
            return self.die();
        }
        self.flushed = self.end();
        let lost = self.files_to_lose();
        let birth = self.rig.crash(Crash::Kill, lost);
        assert_eq!(birth.stopped, Stopped::Clean);
        self.check();
    }

    /// Everything that follows from the batches can be made again from them.
    fn files_to_lose(&mut self) -> Option<&'static str> {
        const SUFFIXES: [&str; 4] = [".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint"];
        self.random.one_in(6).then(|| SUFFIXES[self.random.below(SUFFIXES.len() as u64) as usize])
    }

    /// The process dies, or the machine; the next start must find what it has to.
    fn die(&mut self) {
        self.rig.heal();
        let crash = if self.random.below(2) == 0 { Crash::Kill } else { Crash::PowerLoss };
        let start_before = self.rig.log.start_offset();
        let lost = self.files_to_lose();
        let Birth { stopped, report } = self.rig.crash(crash, lost);
        let end = self.rig.log.end_offset();
        if stopped == Stopped::MachineDied {
            self.adopt_failed(end);
        }
        let in_doubt = std::mem::replace(&mut self.in_doubt, InDoubt::Nothing);
        let mut least = if stopped == Stopped::MachineDied { self.flushed } else { self.end() };
        match in_doubt {
            InDoubt::Nothing => {}
            // Among the failed ones, and adopted from there.
            InDoubt::Appended(_) if stopped == Stopped::MachineDied => {}
            InDoubt::Appended(batches) => self.kept.extend(batches),
            InDoubt::Truncated(to) => {
                least = least.min(to);
                // Cut off, but not for good: the process was killed before it could wait for the disk.
                let cut = self.kept.iter().filter(|kept| kept.header.base_offset >= end);
                self.failed.extend(cut.cloned());
            }
        }
        assert!(end >= least, "lost records: {crash:?} {report:?}: ends at {end}, not {least} or above");
        let boundary = end == 0 || self.kept.iter().any(|kept| kept.header.last_offset() + 1 == end);
        let emptied = end == self.rig.log.start_offset();
        assert!(boundary || emptied, "ends at {end}, where no batch does");
        if crash == Crash::Kill {
            assert!(report.damage.is_none_or(|damage| !damage.in_the_middle), "a kill damages no middle");
        }
        let vanished = self.rig.log.start_offset() > start_before;
        assert!(!vanished || self.start_in_doubt, "records vanished at the start");
        self.start_in_doubt = false;
        self.kept.retain(|kept| kept.header.last_offset() < end);
        self.flushed = self.flushed.min(end);
        self.rig.log.set_high_watermark(i64::MAX);
        self.write_checkpoints();
        self.check();
    }

    /// Where the log holds a failed append behind what was flushed, so does the model.
    fn adopt_failed(&mut self, end: i64) {
        let headers = super::fixture::headers(&mut self.rig.log, self.flushed.min(end));
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
}

#[test]
fn agrees_with_the_model() {
    for_each_seed(DEFAULT_SEEDS, |seed| World::new(seed).run());
}
