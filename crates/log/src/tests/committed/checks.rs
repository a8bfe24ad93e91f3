//! What must hold of the log at any time.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use protocol::batch::{Batch, Marker, split};

use super::super::fixture::read;
use super::{DELETE_RETENTION_MS, Entry, What, World, commits};

/// A record as the log has it, or a batch without any.
#[derive(Debug)]
struct Found {
    offset: i64,
    producer: i64,
    what: What,
}

impl World {
    pub(super) fn check(&mut self) {
        self.rig.io.set_short(false);
        if self.rig.io.is_down() {
            return;
        }
        assert_eq!(self.rig.log.end_offset(), self.end());
        if let Some(expected) = self.last_stable_offset() {
            assert_eq!(self.rig.log.last_stable_offset(), expected);
        }
        let batches = self.batches();
        let found: Vec<Found> = batches.iter().flat_map(records).collect();
        self.check_all_were_appended(&found);
        self.check_none_is_missing(&found);
        self.check_readers_of_committed(&batches);
    }

    fn batches(&mut self) -> Vec<Batch> {
        let mut offset = self.rig.log.start_offset();
        let mut batches = Vec::new();
        while let Some((bytes, next)) = read(&mut self.rig.log, offset, 900).unwrap() {
            for batch in split(bytes).map(Result::unwrap) {
                batch.check_crc().unwrap();
                batches.push(batch);
            }
            offset = next;
        }
        batches
    }

    /// Up to where readers of committed records may read; `None` while the log may not know.
    pub(super) fn last_stable_offset(&self) -> Option<i64> {
        let replicated = self.rig.log.high_watermark();
        if replicated < self.learned_end {
            return None;
        }
        let mut open = BTreeMap::new();
        let mut not_replicated = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.is_transactional()) {
            if entry.is_data() {
                open.entry(entry.producer).or_insert(entry.offset);
            } else if let Some(first) = open.remove(&entry.producer)
                && entry.offset >= replicated
            {
                not_replicated.push(first);
            }
        }
        let first = open.into_values().chain(not_replicated).min().unwrap_or(i64::MAX);
        // Of a transaction whose beginning was deleted, a start that lost the snapshots may know the rest, or nothing.
        (first >= self.deleted_below).then(|| first.min(replicated).max(self.rig.log.start_offset()))
    }

    fn check_all_were_appended(&self, found: &[Found]) {
        let mut last = -1;
        for record in found {
            assert!(record.offset > last);
            last = record.offset;
            let at = self.entries.binary_search_by_key(&record.offset, |entry| entry.offset);
            let entry = &self.entries[at.expect("a record that nobody appended")];
            assert_eq!((record.producer, &record.what), (entry.producer, &entry.what), "{}", record.offset);
        }
    }

    fn check_none_is_missing(&self, found: &[Found]) {
        let there: BTreeSet<i64> = found.iter().map(|record| record.offset).collect();
        let counted = self.counted();
        let mut newest: BTreeMap<u8, &Entry> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| counted.contains(&entry.offset)) {
            if let What::Data { key, .. } = entry.what {
                newest.insert(key, entry);
            }
        }
        let start = self.rig.log.start_offset().max(self.deleted_below);
        let is_tombstone = |entry: &Entry| matches!(entry.what, What::Data { value: None, .. });
        let is_over = |entry: &Entry| self.now_ms - entry.appended_ms > DELETE_RETENTION_MS;
        let untouched = self.entries.iter().filter(|entry| entry.offset >= self.compacted_below);
        let newest = newest.into_values().filter(|entry| !(is_tombstone(entry) && is_over(entry)));
        for entry in untouched.chain(newest).filter(|entry| entry.offset >= start) {
            assert!(
                there.contains(&entry.offset),
                "missing, compacted below {}: {entry:?}",
                self.compacted_below
            );
        }
    }

    /// Offsets of the records that are not, and will not be, of an aborted transaction.
    fn counted(&self) -> BTreeSet<i64> {
        let mut open: BTreeMap<i64, i64> = BTreeMap::new();
        let mut counted = BTreeSet::new();
        for entry in &self.entries {
            if !entry.is_transactional() {
                counted.insert(entry.offset);
            } else if entry.is_data() {
                if commits(*open.entry(entry.producer).or_insert(entry.offset)) {
                    counted.insert(entry.offset);
                }
            } else {
                open.remove(&entry.producer);
            }
        }
        counted
    }

    /// Reads as a client does that wants committed records only.
    fn check_readers_of_committed(&mut self, batches: &[Batch]) {
        let (start, upper) = (self.rig.log.start_offset(), self.rig.log.last_stable_offset());
        let from = start + self.random.below((upper - start) as u64 + 1) as i64;
        let mut aborted = self.rig.log.aborted_transactions(from, upper).unwrap();
        aborted.sort_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        let counted = self.counted();
        let mut leave_out = BTreeSet::new();
        for batch in batches {
            let header = batch.header();
            if header.last_offset() < from || header.last_offset() >= upper {
                continue;
            }
            while aborted.last().is_some_and(|aborted| aborted.first_offset <= header.last_offset()) {
                leave_out.extend(aborted.pop().map(|aborted| aborted.producer_id));
            }
            if header.is_control() {
                leave_out.remove(&header.producer_id);
                continue;
            }
            let is_left_out = header.is_transactional() && leave_out.contains(&header.producer_id);
            for record in records(batch).filter(|record| record.offset >= from) {
                assert_eq!(counted.contains(&record.offset), !is_left_out, "{record:?} read from {from}");
            }
        }
    }
}

fn records(batch: &Batch) -> impl Iterator<Item = Found> + use<> {
    let producer = batch.header().producer_id;
    let marker = Marker::read(batch).map(|marker| What::Marker { is_commit: marker.is_commit });
    batch.records(1 << 20).unwrap().map(move |record| {
        let record = record.unwrap();
        let data = || What::Data {
            key: record.key.as_ref().unwrap()[0],
            value: record.value.as_ref().map(|value| Bytes::copy_from_slice(value)),
        };
        Found { offset: record.offset, producer, what: marker.clone().unwrap_or_else(data) }
    })
}
