//! Sparse indexes of a segment, in Kafka's formats: offset to position, and timestamp to offset.
//!
//! New entries gather in memory and go to the file in one write when the log is checkpointed, rolled, closed
//! or has gathered enough, so that an append costs no second system call and an idle log holds no entries.
//! A lookup searches the file itself: a handful of small reads from the page cache, and readers that go on
//! where they left off do not come here at all (`recent::Resumes`).
//!
//! An index is only ever a shortcut. Entries may be missing at its end (they come back by scanning); they
//! are never wrong, which recovery establishes for everything past the recovery point.

use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use crate::handles::{Handle, Slot};
use crate::io::{File, Io};
use crate::layout::{self, Kind, State};
use crate::store::Store;

/// Entries gathered before they go to the file: one page of the offset index.
const MAX_GATHERED: usize = 512;
/// The last steps of a search are done on this many entries read at once.
const SEARCH_BLOCK: u32 = 256;

/// A fixed-size entry whose order is that of its key.
pub(crate) trait Item: Copy {
    const KIND: Kind;
    const BYTES: usize;
    fn put(&self, out: &mut Vec<u8>);
    fn take(bytes: &[u8]) -> Self;
    /// Whether `next` may stand behind `self`.
    fn precedes(&self, next: &Self) -> bool;
}

/// The batch whose last offset is `base + relative` begins at `position`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) relative: i32,
    pub(crate) position: u32,
}

/// No record before `base + relative` (inclusive) has a timestamp above `timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) relative: i32,
}

fn be<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl Item for OffsetEntry {
    const KIND: Kind = Kind::Index;
    const BYTES: usize = 8;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Self {
        Self { relative: i32::from_be_bytes(be(bytes, 0)), position: u32::from_be_bytes(be(bytes, 4)) }
    }

    fn precedes(&self, next: &Self) -> bool {
        self.relative < next.relative && self.position < next.position
    }
}

impl Item for TimeEntry {
    const KIND: Kind = Kind::TimeIndex;
    const BYTES: usize = 12;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Self {
        Self { timestamp: i64::from_be_bytes(be(bytes, 0)), relative: i32::from_be_bytes(be(bytes, 8)) }
    }

    fn precedes(&self, next: &Self) -> bool {
        self.timestamp < next.timestamp && self.relative < next.relative
    }
}

/// Where an index's file is.
#[derive(Debug)]
pub(crate) struct At<'a, I: Io> {
    pub(crate) store: &'a Store<I>,
    pub(crate) dir: &'a Path,
    pub(crate) base_offset: i64,
    /// Which of the segment's lives: compaction writes under another suffix first.
    pub(crate) state: State,
}

impl<I: Io> Clone for At<'_, I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I: Io> Copy for At<'_, I> {}

impl<I: Io> At<'_, I> {
    pub(crate) fn path(&self, kind: Kind) -> std::path::PathBuf {
        layout::file_path(self.dir, self.base_offset, kind, self.state)
    }
}

/// One index.
#[derive(Debug)]
pub(crate) struct Index<E, F> {
    slot: Slot<F>,
    /// Entries in the file.
    stored: u32,
    /// Whether the file is known to be there.
    has_file: bool,
    gathered: Vec<E>,
    /// A write that failed may have left some of the gathered entries in the file.
    has_leftovers: bool,
    /// How many of the entries in the file are known to be on disk; `None` when some were cut off since, for those
    /// may still be there.
    synced: Option<u32>,
    entry: PhantomData<E>,
}

impl<E: Item, F: File> Index<E, F> {
    /// The index whose file has this size; `None` if there is no file.
    pub(crate) fn existing(file_bytes: Option<u64>) -> Self {
        let stored = (file_bytes.unwrap_or(0) / E::BYTES as u64) as u32;
        let synced = Some(stored);
        let has_file = file_bytes.is_some();
        let gathered = Vec::new();
        Self {
            slot: Slot::new(),
            stored,
            has_file,
            gathered,
            has_leftovers: false,
            synced,
            entry: PhantomData,
        }
    }

    /// Entries in all.
    pub(crate) fn entries(&self) -> u32 {
        self.stored + self.gathered.len() as u32
    }

    pub(crate) fn push(&mut self, entry: E) {
        self.gathered.push(entry);
    }

    /// Whether enough has gathered to be worth a write.
    pub(crate) fn wants_write(&self) -> bool {
        self.gathered.len() >= MAX_GATHERED
    }

    /// Makes the file if there is none.
    pub(crate) fn make_file<I: Io<File = F>>(&mut self, at: At<'_, I>) -> io::Result<()> {
        if !self.has_file {
            at.store.handles.get(&at.store.io, &mut self.slot, || at.path(E::KIND))?;
            self.has_file = true;
        }
        Ok(())
    }

    /// Moves gathered entries to the file. On failure they stay gathered and a later attempt overwrites
    /// whatever part of them got there.
    pub(crate) fn write_out<I: Io<File = F>>(&mut self, at: At<'_, I>) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let stored = self.stored;
        let mut bytes = Vec::with_capacity(self.gathered.len() * E::BYTES);
        self.gathered.iter().for_each(|entry| entry.put(&mut bytes));
        let handle = at.store.handles.get(&at.store.io, &mut self.slot, || at.path(E::KIND))?;
        self.has_leftovers = true;
        handle.file.write_bytes_at(&bytes, u64::from(stored) * E::BYTES as u64)?;
        self.has_leftovers = false;
        self.stored = stored + self.gathered.len() as u32;
        self.gathered = Vec::new();
        Ok(())
    }

    /// The file and how many entries it has, when some of them may not be on disk.
    pub(crate) fn unsynced<I: Io<File = F>>(
        &mut self,
        at: At<'_, I>,
    ) -> io::Result<Option<(Arc<Handle<F>>, u32)>> {
        if self.synced.is_some_and(|synced| self.stored <= synced) {
            return Ok(None);
        }
        let handle = at.store.handles.get(&at.store.io, &mut self.slot, || at.path(E::KIND))?;
        Ok(Some((handle, self.stored)))
    }

    /// Says that none of the entries is known to be on disk.
    pub(crate) fn distrust_disk(&mut self) {
        // An empty file counts too: entries that were cut off may still be on disk.
        self.synced = if self.has_file { None } else { Some(0) };
    }

    /// Takes note that this many entries are on disk.
    pub(crate) fn synced(&mut self, entries: u32) {
        self.synced = self.synced.max(Some(entries));
    }

    fn read<I: Io<File = F>>(&mut self, at: At<'_, I>, first: u32, count: u32) -> io::Result<Vec<E>> {
        let handle = at.store.handles.get(&at.store.io, &mut self.slot, || at.path(E::KIND))?;
        let mut bytes = vec![0; count as usize * E::BYTES];
        handle.file.read_exact_at(&mut bytes, u64::from(first) * E::BYTES as u64)?;
        Ok(bytes.chunks_exact(E::BYTES).map(E::take).collect())
    }

    pub(crate) fn last<I: Io<File = F>>(&mut self, at: At<'_, I>) -> io::Result<Option<E>> {
        if let Some(last) = self.gathered.last() {
            return Ok(Some(*last));
        }
        match self.stored {
            0 => Ok(None),
            stored => Ok(self.read(at, stored - 1, 1)?.pop()),
        }
    }

    /// All entries.
    pub(crate) fn all<I: Io<File = F>>(&mut self, at: At<'_, I>) -> io::Result<Vec<E>> {
        let mut entries = if self.stored > 0 { self.read(at, 0, self.stored)? } else { Vec::new() };
        entries.extend_from_slice(&self.gathered);
        Ok(entries)
    }

    /// The last entry for which `holds` is true; `holds` must be true for a prefix of the entries.
    pub(crate) fn last_where<I: Io<File = F>>(
        &mut self,
        at: At<'_, I>,
        holds: impl Fn(&E) -> bool,
    ) -> io::Result<Option<E>> {
        let in_memory = self.gathered.partition_point(&holds);
        if in_memory > 0 {
            return Ok(Some(self.gathered[in_memory - 1]));
        }
        let (mut low, mut high) = (0, self.stored);
        // Everything below `low` holds, nothing from `high` on does.
        while high - low > SEARCH_BLOCK {
            let middle = low + (high - low) / 2;
            match self.read(at, middle, 1)?.first() {
                Some(entry) if holds(entry) => low = middle,
                _ => high = middle,
            }
        }
        if low == high {
            return Ok(None);
        }
        let block = self.read(at, low, high - low)?;
        let count = block.partition_point(&holds);
        Ok(count.checked_sub(1).map(|last| block[last]))
    }

    /// Drops every entry for which `keep` is false, and those behind it that were damaged; afterwards all
    /// entries are in order and kept. Reads the whole file: for recovery and truncation.
    pub(crate) fn retain_prefix<I: Io<File = F>>(
        &mut self,
        at: At<'_, I>,
        keep: impl Fn(&E) -> bool,
    ) -> io::Result<()> {
        let entries = if self.stored > 0 { self.read(at, 0, self.stored)? } else { Vec::new() };
        let good = entries
            .iter()
            .enumerate()
            .take_while(|(n, entry)| keep(entry) && (*n == 0 || entries[n - 1].precedes(entry)))
            .count();
        if good < entries.len() || self.has_leftovers {
            let handle = at.store.handles.get(&at.store.io, &mut self.slot, || at.path(E::KIND))?;
            handle.file.set_len(good as u64 * E::BYTES as u64)?;
            self.has_leftovers = false;
            self.synced = None;
        }
        self.stored = good as u32;
        let in_memory = if good == entries.len() {
            self.gathered.iter().take_while(|entry| keep(entry)).count()
        } else {
            0
        };
        self.gathered.truncate(in_memory);
        Ok(())
    }

    pub(crate) fn close<I: Io<File = F>>(&mut self, at: At<'_, I>) {
        at.store.handles.close(&mut self.slot);
    }
}
