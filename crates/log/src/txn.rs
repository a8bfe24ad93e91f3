//! Aborted transactions of a segment, in Kafka's format, so that readers of committed records know what to
//! leave out.
//!
//! One entry for each abort marker, in the index of the segment that holds the marker. Entries go to the file
//! at once (aborts are rare and a lost entry would show aborted records); if that fails they wait in memory
//! like any index entry and recovery finds them again from the batches.

use std::io;

use bytes::{Buf, BufMut};

use crate::index::{At, Item};
use crate::io::Io;
use crate::layout::Kind;
use crate::log::PartitionLog;
use crate::producers::Completed;
use crate::store::StorageError;

const VERSION: i16 = 0;

/// An aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// Whose.
    pub producer_id: i64,
    /// Its first record.
    pub first_offset: i64,
    /// Its marker.
    pub last_offset: i64,
    /// The last stable offset once it was settled: no transaction that an entry behind this one describes
    /// begins below it, which is where a search may stop.
    pub last_stable_offset: i64,
}

impl Item for Aborted {
    const KIND: Kind = Kind::TxnIndex;
    const BYTES: usize = 34;

    fn put(&self, out: &mut Vec<u8>) {
        out.put_i16(VERSION);
        out.put_i64(self.producer_id);
        out.put_i64(self.first_offset);
        out.put_i64(self.last_offset);
        out.put_i64(self.last_stable_offset);
    }

    fn take(mut bytes: &[u8]) -> Self {
        bytes.advance(size_of::<i16>());
        Self {
            producer_id: bytes.get_i64(),
            first_offset: bytes.get_i64(),
            last_offset: bytes.get_i64(),
            last_stable_offset: bytes.get_i64(),
        }
    }

    fn precedes(&self, next: &Self) -> bool {
        self.last_offset < next.last_offset && next.first_offset < next.last_offset
    }
}

impl<I: Io> PartitionLog<I> {
    /// Aborted transactions that have records in `[from, upper)`, by offset of their markers.
    pub fn aborted_transactions(&mut self, from: i64, upper: i64) -> Result<Vec<Aborted>, StorageError> {
        let mut found = Vec::new();
        for index in self.segment_of(from)..self.segments.len() {
            let entries =
                self.with_segment(index, "read aborted transactions of", |segment, at| segment.aborted(at))?;
            for entry in entries {
                if entry.last_offset >= from && entry.first_offset < upper {
                    found.push(entry);
                }
                if entry.last_stable_offset >= upper {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// Takes note of a transaction that a marker in segment `index` ended, unless the index knows it already.
    pub(crate) fn note_completed(&mut self, index: usize, completed: &Completed) -> Result<(), StorageError> {
        if !completed.aborted {
            return Ok(());
        }
        let entry = Aborted {
            producer_id: completed.producer_id,
            first_offset: completed.first_offset,
            last_offset: completed.last_offset,
            last_stable_offset: self.producers.last_stable_after(completed),
        };
        self.with_segment(index, "note an aborted transaction in", |segment, at| {
            segment.add_aborted(at, entry)
        })
    }
}

impl<I: Io> crate::segment::Segment<I> {
    /// All entries.
    pub(crate) fn aborted(&mut self, at: At<'_, I>) -> io::Result<Vec<Aborted>> {
        self.aborts.all(at)
    }

    /// Adds an entry, unless it or a later one is there.
    pub(crate) fn add_aborted(&mut self, at: At<'_, I>, entry: Aborted) -> io::Result<()> {
        if self.aborts.last(at)?.is_none_or(|last| last.last_offset < entry.last_offset) {
            self.aborts.push(entry);
            // What cannot be written now is kept in memory and written with the next checkpoint.
            let _ = self.aborts.write_out(at);
        }
        Ok(())
    }
}
