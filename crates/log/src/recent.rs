//! What was appended a moment ago, kept in memory for readers at the tail, and where readers left off.
//!
//! Both are bounded for the whole process and hold nothing that is not also in a file: losing an entry costs
//! a read. A log is known here by a key that it changes when it is truncated or compacted, so stale entries
//! are never found again and simply age out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// Memory that an entry costs besides its bytes (map node, queue slot, slice headers): without counting it,
/// tiny batches could hold many times the configured amount.
const ENTRY_OVERHEAD_BYTES: usize = 192;

/// Places remembered for readers that come back. 32 bytes each, so 32 KiB in all; a reader whose place was
/// overwritten by another pays one index lookup.
const RESUME_SLOTS: usize = 1024;

/// Recent batches of all logs, oldest out first.
#[derive(Debug)]
pub(crate) struct RecentBatches {
    inner: Mutex<Inner>,
    capacity_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<(u64, i64), Entry>,
    order: VecDeque<(u64, i64)>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    last_offset: i64,
    size: usize,
    /// A batch is one slice, or its stamped header and the rest as it was received.
    parts: [Bytes; 2],
}

impl RecentBatches {
    pub(crate) fn new(capacity_bytes: usize) -> Self {
        Self { inner: Mutex::default(), capacity_bytes }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.capacity_bytes > 0
    }

    pub(crate) fn insert(&self, log: u64, base_offset: i64, last_offset: i64, parts: [Bytes; 2]) {
        let size = parts[0].len() + parts[1].len();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.entries.insert((log, base_offset), Entry { last_offset, size, parts });
        inner.order.push_back((log, base_offset));
        inner.bytes += size + ENTRY_OVERHEAD_BYTES;
        while inner.bytes > self.capacity_bytes {
            let Some(oldest) = inner.order.pop_front() else { break };
            if let Some(entry) = inner.entries.remove(&oldest) {
                inner.bytes -= entry.size + ENTRY_OVERHEAD_BYTES;
            }
        }
    }

    /// Whole batches from the one that covers `offset`, those that end below `upper`, up to `max_bytes` (but
    /// at least one when `min_one`). Returns the slices, their size and the offset after them; `None` when
    /// the covering batch is not here.
    pub(crate) fn read(
        &self,
        log: u64,
        offset: i64,
        max_bytes: usize,
        upper: i64,
        min_one: bool,
    ) -> Option<(Vec<Bytes>, usize, i64)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (&(_, first), entry) = inner.entries.range((log, i64::MIN)..=(log, offset)).next_back()?;
        if entry.last_offset < offset {
            return None;
        }
        let mut slices = Vec::new();
        let mut size = 0;
        let mut next_offset = first;
        for (&(_, base_offset), entry) in inner.entries.range((log, first)..=(log, i64::MAX)) {
            let fits = size + entry.size <= max_bytes || (size == 0 && min_one);
            if base_offset != next_offset || entry.last_offset >= upper || !fits {
                break;
            }
            slices.extend(entry.parts.iter().filter(|part| !part.is_empty()).cloned());
            size += entry.size;
            next_offset = entry.last_offset + 1;
        }
        Some((slices, size, next_offset.max(offset)))
    }

    /// Bytes held now, overheads included.
    pub(crate) fn bytes(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Frees everything.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        drop(all);
    }
}

/// Where the batch of an offset begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: i64,
    pub(crate) position: u64,
}

/// Where readers left off: a reader that asks for the offset after its last batch needs no index.
#[derive(Debug)]
pub(crate) struct Resumes {
    slots: Mutex<Vec<Option<(u64, i64, Place)>>>,
}

impl Resumes {
    pub(crate) fn new() -> Self {
        Self { slots: Mutex::new(Vec::new()) }
    }

    fn slot(log: u64, offset: i64) -> usize {
        let mixed = (log ^ (offset as u64).rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize % RESUME_SLOTS
    }

    pub(crate) fn note(&self, log: u64, offset: i64, place: Place) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.is_empty() {
            slots.resize(RESUME_SLOTS, None);
        }
        slots[Self::slot(log, offset)] = Some((log, offset, place));
    }

    pub(crate) fn find(&self, log: u64, offset: i64) -> Option<Place> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get(Self::slot(log, offset))? {
            Some((of_log, of_offset, place)) if (*of_log, *of_offset) == (log, offset) => Some(*place),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(size: usize) -> [Bytes; 2] {
        [Bytes::from(vec![1; 61]), Bytes::from(vec![2; size - 61])]
    }

    #[test]
    fn reads_whole_batches_up_to_the_limits() {
        let recent = RecentBatches::new(1 << 20);
        recent.insert(7, 10, 14, batch(100));
        recent.insert(7, 15, 15, batch(100));
        recent.insert(7, 16, 20, batch(100));
        recent.insert(8, 21, 30, batch(100));
        let read = |offset, max, upper, min_one| {
            recent.read(7, offset, max, upper, min_one).map(|(_, size, next)| (size, next))
        };
        assert_eq!(read(12, 1000, 100, false), Some((300, 21)));
        assert_eq!(read(12, 250, 100, false), Some((200, 16)));
        assert_eq!(read(12, 10, 100, false), Some((0, 12)));
        assert_eq!(read(12, 10, 100, true), Some((100, 15)));
        assert_eq!(read(10, 1000, 20, true), Some((200, 16)));
        assert_eq!(read(9, 1000, 100, true), None);
        assert_eq!(read(21, 1000, 100, true), None, "the next log's batch is not ours");
    }

    #[test]
    fn a_gap_ends_a_read_and_the_oldest_go_first() {
        let recent = RecentBatches::new(2 * (1000 + ENTRY_OVERHEAD_BYTES));
        recent.insert(1, 0, 0, batch(1000));
        recent.insert(1, 2, 2, batch(1000));
        assert_eq!(recent.read(1, 0, 9000, 100, true).map(|(_, size, next)| (size, next)), Some((1000, 1)));
        recent.insert(1, 3, 3, batch(1000));
        assert!(recent.read(1, 0, 9000, 100, true).is_none());
        assert_eq!(recent.bytes(), 2 * (1000 + ENTRY_OVERHEAD_BYTES));
    }

    #[test]
    fn a_reader_finds_its_place_and_nobody_elses() {
        let resumes = Resumes::new();
        let place = Place { segment: 0, position: 77 };
        assert_eq!(resumes.find(1, 5), None);
        resumes.note(1, 5, place);
        assert_eq!(resumes.find(1, 5), Some(place));
        assert_eq!(resumes.find(2, 5), None);
    }
}
