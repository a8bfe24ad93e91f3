//! A compacted log with transactions: random operations with crashes between and inside them, compared with a list
//! of everything that was ever appended.
//!
//! What must hold at any time:
//! - each record in the log was appended at its offset, and nothing else is there;
//! - behind what a compaction may have looked at (never past the recovery point or the last stable offset), nothing
//!   is missing;
//! - before it, the newest record of every key is there, save for tombstones whose time is over;
//! - who reads committed records, and leaves out what the index of aborted transactions says, sees no record of an
//!   aborted transaction and misses none of another;
//! - the last batch of every producer is recognised.

mod checks;

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::batch::{Builder, Compression, Marker};

use super::rig::{Birth, Random, Rig, for_each_seed};
use crate::io::Crash;
use crate::{AppendError, Extent, Garbage, LogConfig, Origin, Stopped};

const DEFAULT_SEEDS: std::ops::Range<u64> = 0..40;
const STEPS: u64 = 150;
const KEYS: u64 = 6;
const DELETE_RETENTION_MS: i64 = 100;
/// These have transactions, those below only sequences.
const FIRST_TRANSACTIONAL: i64 = 10;

/// A record that was appended.
#[derive(Clone, Debug)]
struct Entry {
    offset: i64,
    /// First offset of its batch.
    batch: i64,
    /// -1 for none.
    producer: i64,
    sequence: i32,
    appended_ms: i64,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Data { key: u8, value: Option<Bytes> },
    Marker { is_commit: bool },
}

impl Entry {
    fn is_data(&self) -> bool {
        matches!(self.what, What::Data { .. })
    }

    fn is_transactional(&self) -> bool {
        self.producer >= FIRST_TRANSACTIONAL
    }
}

struct World {
    random: Random,
    rig: Rig,
    entries: Vec<Entry>,
    /// Of an append that a crash interrupted.
    in_doubt: Vec<Entry>,
    flushed: i64,
    /// Largest high watermark that was told: nothing below is ever truncated.
    replicated: i64,
    /// A start does not learn which ended transactions were not replicated when it took over; they are below this.
    learned_end: i64,
    /// Compaction has looked at offsets below.
    compacted_below: i64,
    /// Records below were deleted at some time.
    deleted_below: i64,
    now_ms: i64,
}

fn config(seed: u64) -> LogConfig {
    LogConfig {
        segment_bytes: 1_200,
        segment_ms: if seed % 3 == 1 { 150 } else { i64::MAX },
        index_interval_bytes: 150,
        compact: true,
        delete: seed % 4 == 1,
        retention_ms: Some(400),
        delete_retention_ms: DELETE_RETENTION_MS,
        min_compaction_lag_ms: if seed % 5 == 1 { 50 } else { 0 },
        max_compaction_lag_ms: (seed % 2 == 1).then_some(150),
        min_cleanable_dirty_ratio: if seed % 7 == 1 { 0.5 } else { 0.01 },
        timestamp_after_max_ms: None,
        ..LogConfig::default()
    }
}

/// How the transaction that begins at this offset ends; decided once, as its coordinator would.
fn commits(first_offset: i64) -> bool {
    !Random::new(first_offset as u64).one_in(2)
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            rig: Rig::new(seed, config(seed)),
            entries: Vec::new(),
            in_doubt: Vec::new(),
            flushed: 0,
            replicated: 0,
            learned_end: 0,
            compacted_below: 0,
            deleted_below: 0,
            now_ms: 1_000,
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.now_ms += if self.random.one_in(60) { 500 } else { self.random.below(15) as i64 };
            if self.random.one_in(20) {
                self.rig.io.crash_after(self.random.below(40));
            }
            self.rig.io.set_short(self.random.one_in(10));
            let choice = self.random.below(100);
            match choice {
                0..45 => self.append(),
                45..55 => self.end_transaction(),
                55..62 => self.flush(),
                62..74 => self.compact(),
                74..76 => self.truncate(),
                76..78 => self.delete(),
                78..83 => self.append_again(),
                83..85 => self.stop_and_start(),
                85..88 => self.die(),
                _ => self.check(),
            }
            if self.rig.io.is_down() {
                self.die();
            }
        }
        self.check();
    }

    fn end(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.offset + 1).max(self.rig.log.start_offset())
    }

    /// One batch: of nobody, of an idempotent producer, or of one with a transaction.
    fn append(&mut self) {
        let producer = [-1, -1, 1, 2, 11, 12][self.random.below(6) as usize];
        let sequence = if producer < 0 { -1 } else { self.last_sequence(producer) + 1 };
        let mut entries = Vec::new();
        let base = self.end();
        for n in 0..=self.random.below(3) as i64 {
            let value = (!self.random.one_in(5)).then(|| {
                let number = self.random.next().to_be_bytes();
                Bytes::from(number.repeat(1 + self.random.below(8) as usize))
            });
            entries.push(Entry {
                offset: base + n,
                batch: base,
                producer,
                sequence: if producer < 0 { -1 } else { sequence + n as i32 },
                appended_ms: self.now_ms,
                what: What::Data { key: self.random.below(KEYS) as u8, value },
            });
        }
        self.write(&batch(&entries), Origin::Client, entries);
    }

    fn end_transaction(&mut self) {
        let open = self.open_transactions();
        let Some((&producer, &first)) = open.iter().nth(self.random.below(2) as usize) else { return };
        let is_commit = commits(first);
        let marker = Marker { is_commit, coordinator_epoch: 1 }.batch(producer, 0, self.now_ms).unwrap();
        let (offset, sequence) = (self.end(), -1);
        let what = What::Marker { is_commit };
        let entry = Entry { offset, batch: offset, producer, sequence, appended_ms: self.now_ms, what };
        self.write(&marker.freeze(), Origin::Coordinator, vec![entry]);
    }

    fn write(&mut self, batch: &Bytes, origin: Origin, entries: Vec<Entry>) {
        match self.rig.log.append_as_leader(batch, 0, origin, self.now_ms) {
            Ok(info) => {
                assert_eq!((info.base_offset, info.duplicate), (self.end(), false));
                self.entries.extend(entries);
                if !self.random.one_in(4) {
                    self.replicate();
                }
            }
            Err(AppendError::Storage(_)) if self.rig.io.is_down() => self.in_doubt = entries,
            Err(other) => panic!("{other:?}"),
        }
    }

    fn replicate(&mut self) {
        self.rig.log.set_high_watermark(i64::MAX);
        self.replicated = self.replicated.max(self.rig.log.high_watermark());
    }

    fn last_sequence(&self, producer: i64) -> i32 {
        let of_producer = self.entries.iter().rev().filter(|entry| entry.producer == producer);
        of_producer.filter(|entry| entry.is_data()).map(|entry| entry.sequence).next().unwrap_or(-1)
    }

    /// Where the transactions begin that have no marker, by producer.
    fn open_transactions(&self) -> BTreeMap<i64, i64> {
        let mut open = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.is_transactional()) {
            match entry.what {
                What::Data { .. } => {
                    open.entry(entry.producer).or_insert(entry.offset);
                }
                What::Marker { .. } => {
                    open.remove(&entry.producer);
                }
            }
        }
        open
    }

    fn append_again(&mut self) {
        let producer = [1, 2, 11, 12][self.random.below(4) as usize];
        let mut of_producer =
            self.entries.iter().rev().filter(|entry| entry.producer == producer && entry.is_data());
        let Some(last) = of_producer.next().map(|last| last.batch) else { return };
        if last < self.rig.log.start_offset() {
            return;
        }
        let again: Vec<Entry> = self.entries.iter().filter(|entry| entry.batch == last).cloned().collect();
        let info = self.rig.log.append_as_leader(&batch(&again), 0, Origin::Client, self.now_ms);
        let info = info.unwrap();
        assert_eq!((info.base_offset, info.duplicate), (last, true));
    }

    fn flush(&mut self) {
        let Ok(prepared) = self.rig.log.prepare_flush(Extent::Everything) else { return };
        if self.random.one_in(3) {
            self.append();
        }
        if let Some(flush) = prepared
            && let Ok(done) = flush.run()
        {
            self.rig.log.flushed(&done);
            self.flushed = self.flushed.max(done.up_to());
        }
        let _ = self.rig.write_checkpoints();
    }

    fn compact(&mut self) {
        if self.random.one_in(2) {
            self.flush();
        }
        let stable = self.last_stable_offset().unwrap_or(self.rig.log.last_stable_offset());
        let bound = stable.min(self.rig.log.recovery_point());
        let Ok(Some(work)) = self.rig.log.prepare_compaction(self.now_ms) else { return };
        let Ok(done) = work.run(|_| {}) else { return };
        // The log goes on while that works.
        match self.random.below(8) {
            0 | 1 => self.append(),
            2 => self.end_transaction(),
            3 => self.delete(),
            4 => self.truncate(),
            _ => {}
        }
        self.compacted_below = self.compacted_below.max(bound);
        if let Ok(garbage) = self.rig.log.apply_compaction(done) {
            let _ = garbage.remove();
        }
    }

    /// Takes away some of what was not replicated.
    fn truncate(&mut self) {
        if self.rig.io.is_down() {
            return;
        }
        let target = self.end() - self.random.below(8) as i64;
        if target < self.replicated || target <= self.rig.log.start_offset() {
            return;
        }
        let covering = self.entries.iter().find(|entry| entry.offset >= target).map(|entry| entry.batch);
        let end = covering.unwrap_or(target);
        if self.rig.log.truncate_to(target).is_ok() {
            self.entries.retain(|entry| entry.offset < end);
            assert_eq!(self.rig.log.end_offset(), end);
        }
        // Of what an interrupted cut would have taken, any part may be left.
        self.flushed = self.flushed.min(end);
        if self.rig.write_checkpoints().is_err() {
            self.die_after_cut(end);
        }
    }

    fn delete(&mut self) {
        let log = &mut self.rig.log;
        let removed = if self.random.one_in(2) {
            let (start, replicated) = (log.start_offset(), log.high_watermark());
            let offset = start + self.random.below((replicated - start) as u64 / 3 + 1) as i64;
            log.delete_records(offset).map(Garbage::remove).map(drop).ok()
        } else {
            log.retain(self.now_ms).map(Garbage::remove).map(drop).ok()
        };
        assert!(removed.is_some() || self.rig.io.is_down());
        self.deleted_below = self.deleted_below.max(self.rig.log.start_offset());
    }

    fn stop_and_start(&mut self) {
        self.rig.io.set_short(false);
        if self.rig.stop().is_err() {
            return self.die();
        }
        let lost = self.files_to_lose();
        let birth = self.rig.crash(Crash::Kill, lost);
        assert_eq!(birth.stopped, Stopped::Clean);
        self.adopt(self.end());
    }

    fn files_to_lose(&mut self) -> Option<&'static str> {
        self.random.one_in(4).then_some(".snapshot")
    }

    fn die(&mut self) {
        self.die_after_cut(i64::MAX);
    }

    /// The process dies, or the machine, perhaps during a cut.
    fn die_after_cut(&mut self, cut: i64) {
        self.rig.heal();
        let crash = if self.random.one_in(2) { Crash::Kill } else { Crash::PowerLoss };
        let lost = self.files_to_lose();
        let Birth { stopped, .. } = self.rig.crash(crash, lost);
        let least = if stopped == Stopped::MachineDied { self.flushed } else { self.end() };
        self.adopt(least.min(cut));
        let _ = self.rig.write_checkpoints();
    }

    /// Takes over what a start found, which must reach to `least`.
    fn adopt(&mut self, least: i64) {
        let end = self.rig.log.end_offset();
        assert!(end >= least, "lost records: ends at {end}, not {least} or above");
        let in_doubt = std::mem::take(&mut self.in_doubt);
        if end > self.end() {
            self.entries.extend(in_doubt);
        }
        self.entries.retain(|entry| entry.offset < end);
        assert_eq!(self.end(), end, "ends where no batch does");
        self.flushed = self.flushed.min(end);
        self.replicated = self.replicated.min(end);
        self.learned_end = end;
        if !self.random.one_in(4) {
            self.replicate();
        }
        self.check();
    }
}

fn batch(entries: &[Entry]) -> Bytes {
    let first = &entries[0];
    let mut builder = Builder::new(Compression::None);
    if first.producer >= 0 {
        builder = builder.producer(first.producer, 0, first.sequence);
    }
    if first.is_transactional() {
        builder = builder.transactional();
    }
    for entry in entries {
        let What::Data { key, value } = &entry.what else { unreachable!("markers are made elsewhere") };
        builder.push(entry.appended_ms, Some(&[*key]), value.as_deref(), &[]);
    }
    builder.build().unwrap().freeze()
}

#[test]
fn agrees_with_the_list_of_all_records() {
    for_each_seed(DEFAULT_SEEDS, |seed| World::new(seed).run());
}
