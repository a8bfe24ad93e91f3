//! One segment: a file of batches with its indexes.
//!
//! A segment knows positions and offsets in one file. It does not know which segment is the active one, who
//! leads, or who the producers are; the log does. Nothing in it is open or in memory unless it was used lately.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use protocol::batch::Header;

use crate::config::LogConfig;
use crate::handles::{Handle, Slot};
use crate::index::{At, Index, OffsetEntry, TimeEntry};
use crate::io::{Access, File, Io};
use crate::layout::Kind;
use crate::scan::Scan;
use crate::txn::Aborted;

/// The newest record of a segment by timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
}

/// Open files of a segment.
pub(crate) type Files<I> = Vec<Arc<Handle<<I as Io>::File>>>;

/// What of a segment is on disk: bytes of batches, entries of indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) base_offset: i64,
    size: u64,
    cuts: u32,
    offsets: Option<u32>,
    times: Option<u32>,
    aborts: Option<u32>,
}

/// What is taken off `segment.ms` for one segment: below `segment.jitter.ms`, by chance, and the same whenever it is asked
/// for, so that nobody must remember it.
fn jitter_ms(dir: &Path, base_offset: i64, config: &LogConfig) -> i64 {
    let most = config.segment_jitter_ms.min(config.segment_ms);
    if most <= 0 {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    (dir, base_offset).hash(&mut hasher);
    i64::try_from(hasher.finish() % most.unsigned_abs()).unwrap_or(0)
}

/// What batches that are to be appended ask of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coming {
    pub(crate) bytes: u64,
    pub(crate) last_offset: i64,
    /// Newest timestamp of the first of them.
    pub(crate) first_timestamp: i64,
    /// Newest timestamp of all of them.
    pub(crate) newest_timestamp: i64,
}

/// A segment.
#[derive(Debug)]
pub(crate) struct Segment<I: Io> {
    pub(crate) base_offset: i64,
    pub(crate) size: u64,
    /// How much of the file is known to be on disk.
    pub(crate) synced_size: u64,
    /// How often bytes were cut off behind the last batch, and how many of these cuts are known to be on disk: until
    /// then a loss of power may bring the bytes back.
    cuts: u32,
    synced_cuts: u32,
    /// Up to where room was asked for ahead of the writes.
    reserved: u64,
    log: Slot<I::File>,
    offsets: Index<OffsetEntry, I::File>,
    times: Index<TimeEntry, I::File>,
    pub(crate) aborts: Index<Aborted, I::File>,
    bytes_since_entry: u64,
    /// `None` until looked up.
    newest: Option<Newest>,
    /// Timestamp of the last entry of the time index, known whenever `newest` is; -1 when there is none.
    indexed_timestamp: i64,
    /// Newest timestamp of the first batch, from which the age of the segment counts.
    first_timestamp: Option<i64>,
}

impl<I: Io> Segment<I> {
    /// A segment without files so far.
    pub(crate) fn new(base_offset: i64) -> Self {
        Self {
            base_offset,
            size: 0,
            synced_size: 0,
            cuts: 0,
            synced_cuts: 0,
            reserved: 0,
            log: Slot::new(),
            offsets: Index::existing(None),
            times: Index::existing(None),
            aborts: Index::existing(None),
            bytes_since_entry: 0,
            newest: Some(Newest { timestamp: -1, offset: base_offset }),
            indexed_timestamp: -1,
            first_timestamp: None,
        }
    }

    /// A segment whose files are there, with the sizes that `size_of` tells; nothing is read yet.
    pub(crate) fn existing(base_offset: i64, size: u64, size_of: impl Fn(Kind) -> Option<u64>) -> Self {
        Self {
            size,
            synced_size: size,
            offsets: Index::existing(size_of(Kind::Index)),
            times: Index::existing(size_of(Kind::TimeIndex)),
            aborts: Index::existing(size_of(Kind::TxnIndex)),
            newest: None,
            ..Self::new(base_offset)
        }
    }

    /// Whether neither index has an entry.
    pub(crate) fn is_unindexed(&self) -> bool {
        self.offsets.entries() == 0 && self.times.entries() == 0
    }

    /// The open file of batches.
    pub(crate) fn log_file(&mut self, at: At<'_, I>) -> io::Result<Arc<Handle<I::File>>> {
        at.store.handles.get(&at.store.io, &mut self.log, || at.path(Kind::Log))
    }

    /// Whether the segment must be closed before the batches that come, `before` being on their way into it already.
    pub(crate) fn must_roll(
        &mut self,
        at: At<'_, I>,
        config: &LogConfig,
        before: Option<Coming>,
        coming: Coming,
    ) -> io::Result<bool> {
        let size = self.size + before.map_or(0, |before| before.bytes);
        if size == 0 {
            return Ok(false);
        }
        let full = size + coming.bytes > u64::from(config.segment_bytes).min(MAX_SEGMENT_BYTES);
        let too_far = coming.last_offset - self.base_offset > i64::from(i32::MAX);
        if full || too_far {
            return Ok(true);
        }
        let max_entries = config.segment_index_bytes / 12;
        if self.offsets.entries() >= max_entries || self.times.entries() >= max_entries {
            return Ok(true);
        }
        let first = match before {
            Some(before) if self.size == 0 => before.first_timestamp,
            _ => self.first_timestamp(at)?,
        };
        let newest = coming.newest_timestamp;
        let age_ms = if first >= 0 && newest >= 0 { newest.saturating_sub(first) } else { 0 };
        Ok(age_ms > config.segment_ms - jitter_ms(at.dir, self.base_offset, config))
    }

    /// Newest timestamp of the first batch; -1 when there is none.
    pub(crate) fn first_timestamp(&mut self, at: At<'_, I>) -> io::Result<i64> {
        if let Some(first) = self.first_timestamp {
            return Ok(first);
        }
        if self.size == 0 {
            return Ok(-1);
        }
        let handle = self.log_file(at)?;
        let mut scan = Scan::headers(&handle.file, &at.store.buffers, 0, self.size);
        let first = match scan.next()? {
            Some(Ok(met)) => met.header.max_timestamp,
            _ => -1,
        };
        self.first_timestamp = Some(first);
        Ok(first)
    }

    /// Looks up everything that [`Segment::added`] will need, so that it cannot fail.
    pub(crate) fn prepare(&mut self, at: At<'_, I>) -> io::Result<()> {
        self.newest(at)?;
        self.first_timestamp(at).map(drop)
    }

    /// Writes slices behind the last batch. On failure the file may have more bytes than `size`; nothing else
    /// changed, and [`Segment::cut_leftovers`] must run before the next attempt.
    pub(crate) fn write(&mut self, at: At<'_, I>, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let handle = self.log_file(at)?;
        let end = self.size + slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
        if end > self.reserved && self.size >= RESERVE_FROM_BYTES {
            self.reserved = end + RESERVE_BYTES;
            handle.file.reserve(self.size, self.reserved - self.size);
        }
        handle.file.write_all_at(slices, self.size)
    }

    /// Gives back room that was asked for and not used.
    fn release_reserve(&mut self, at: At<'_, I>) -> io::Result<()> {
        if self.size < RESERVE_FROM_BYTES {
            return Ok(());
        }
        self.reserved = 0;
        self.log_file(at)?.file.set_len(self.size)
    }

    /// Removes what a failed write left behind, and makes the file when there is none.
    pub(crate) fn cut_leftovers(&mut self, at: At<'_, I>) -> io::Result<()> {
        let handle = self.log_file(at)?;
        let end = handle.file.len()?;
        if end <= self.size {
            return Ok(());
        }
        let mut scan = Scan::checked(&handle.file, &at.store.buffers, self.size, end);
        let is_sound = matches!(scan.next()?, Some(Ok(_)));
        self.cuts += 1;
        handle.file.set_len(self.size)?;
        // A piece of a batch that comes back is recognised as such. A whole one (a write of several failed) would be
        // taken for the one of the same size that is written in its place, so it has to be gone first.
        if is_sound { handle.file.sync() } else { Ok(()) }
    }

    /// Notes that a batch now stands at the end of the file. [`Segment::prepare`] was called before.
    pub(crate) fn added(&mut self, at: At<'_, I>, header: &Header, index_interval_bytes: u32) {
        let position = self.size;
        self.size += header.size_bytes() as u64;
        if position == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        let mut newest = self.newest.unwrap_or(Newest { timestamp: -1, offset: self.base_offset });
        if header.max_timestamp > newest.timestamp {
            newest = Newest { timestamp: header.max_timestamp, offset: header.last_offset() };
        }
        self.newest = Some(newest);
        if self.bytes_since_entry > u64::from(index_interval_bytes) {
            let relative = (header.last_offset() - self.base_offset) as i32;
            self.offsets.push(OffsetEntry { relative, position: position as u32 });
            self.note_time(newest);
            if self.offsets.wants_write() {
                // A batch that is in the log is not refused because its index is not: on failure the entries stay
                // in memory, and the next checkpoint, which must write them, reports why it cannot.
                let _ = self.write_out(at);
            }
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += header.size_bytes() as u64;
    }

    fn note_time(&mut self, newest: Newest) {
        if newest.timestamp > self.indexed_timestamp {
            let relative = (newest.offset - self.base_offset) as i32;
            self.times.push(TimeEntry { timestamp: newest.timestamp, relative });
            self.indexed_timestamp = newest.timestamp;
        }
    }

    /// The newest record; timestamp -1 when there is none.
    pub(crate) fn newest(&mut self, at: At<'_, I>) -> io::Result<Newest> {
        if let Some(newest) = self.newest {
            return Ok(newest);
        }
        // The last entry covers everything up to the last entry of the offset index; look at what follows.
        let mut newest = match self.times.last(at)? {
            Some(last) => {
                Newest { timestamp: last.timestamp, offset: self.base_offset + i64::from(last.relative) }
            }
            None => Newest { timestamp: -1, offset: self.base_offset },
        };
        self.indexed_timestamp = newest.timestamp;
        let from = self.offsets.last(at)?.map_or(0, |last| u64::from(last.position));
        let handle = self.log_file(at)?;
        let mut scan = Scan::headers(&handle.file, &at.store.buffers, from, self.size);
        while let Some(Ok(met)) = scan.next()? {
            if met.header.max_timestamp > newest.timestamp {
                newest = Newest { timestamp: met.header.max_timestamp, offset: met.header.last_offset() };
            }
        }
        self.newest = Some(newest);
        Ok(newest)
    }

    /// A position at or before the batch that covers `offset`, close to it.
    pub(crate) fn position_before(&mut self, at: At<'_, I>, offset: i64) -> io::Result<u64> {
        let relative = offset - self.base_offset;
        let entry = self.offsets.last_where(at, |entry| i64::from(entry.relative) <= relative)?;
        Ok(entry.map_or(0, |entry| u64::from(entry.position)))
    }

    /// An offset at or before the first record with this timestamp or a later one, close to it.
    pub(crate) fn offset_before_time(&mut self, at: At<'_, I>, timestamp: i64) -> io::Result<i64> {
        let entry = self.times.last_where(at, |entry| entry.timestamp < timestamp)?;
        Ok(self.base_offset + entry.map_or(0, |entry| i64::from(entry.relative)))
    }

    /// Position of the first batch whose last offset is `offset` or above; `None` when there is none.
    pub(crate) fn find(&mut self, at: At<'_, I>, offset: i64) -> io::Result<Option<u64>> {
        Ok(self.find_batch(at, offset)?.map(|(position, _)| position))
    }

    /// The same with the batch's base offset.
    pub(crate) fn find_batch(&mut self, at: At<'_, I>, offset: i64) -> io::Result<Option<(u64, i64)>> {
        // An empty segment may have no file yet, and looking must not make one.
        if self.size == 0 {
            return Ok(None);
        }
        let from = self.position_before(at, offset)?;
        let handle = self.log_file(at)?;
        let mut scan = Scan::headers(&handle.file, &at.store.buffers, from, self.size);
        loop {
            match scan.next()? {
                Some(Ok(met)) if met.header.last_offset() >= offset => {
                    return Ok(Some((met.position, met.header.base_offset)));
                }
                Some(Ok(_)) => {}
                Some(Err(bad)) => return Err(io::Error::new(io::ErrorKind::InvalidData, bad)),
                None => return Ok(None),
            }
        }
    }

    /// Puts index entries into their files and lets go of the memory. Times go first: an offset entry in the file
    /// says that everything before it has been taken account of, and a start relies on that. For the same reason there
    /// are both files, if an empty one, wherever there is one: a start that finds one knows that the other was lost.
    pub(crate) fn write_out(&mut self, at: At<'_, I>) -> io::Result<()> {
        if !self.is_unindexed() {
            self.times.make_file(at)?;
            self.offsets.make_file(at)?;
        }
        self.times.write_out(at)?;
        self.offsets.write_out(at)?;
        self.aborts.write_out(at)
    }

    /// Ends the segment's time as the active one: its newest timestamp becomes the last entry of the time
    /// index, from which retention reads it without looking at any batch.
    pub(crate) fn finish(&mut self, at: At<'_, I>) -> io::Result<()> {
        let newest = self.newest(at)?;
        self.note_time(newest);
        self.release_reserve(at)?;
        self.write_out(at)
    }

    /// Files with something to sync, and what will be on disk once they are.
    pub(crate) fn unsynced(&mut self, at: At<'_, I>, with_indexes: bool) -> io::Result<(Files<I>, Synced)> {
        let mut files = Vec::new();
        let mut synced = Synced {
            base_offset: self.base_offset,
            size: self.size,
            cuts: self.cuts,
            offsets: None,
            times: None,
            aborts: None,
        };
        if self.synced_size < self.size || self.synced_cuts < self.cuts {
            files.push(self.log_file(at)?);
        }
        if with_indexes {
            self.write_out(at)?;
            if let Some((file, entries)) = self.offsets.unsynced(at)? {
                synced.offsets = Some(entries);
                files.push(file);
            }
            if let Some((file, entries)) = self.times.unsynced(at)? {
                synced.times = Some(entries);
                files.push(file);
            }
            if let Some((file, entries)) = self.aborts.unsynced(at)? {
                synced.aborts = Some(entries);
                files.push(file);
            }
        }
        Ok((files, synced))
    }

    /// Waits until batches and indexes are on disk; their names are another matter.
    pub(crate) fn sync(&mut self, at: At<'_, I>) -> io::Result<()> {
        let (files, synced) = self.unsynced(at, true)?;
        files.iter().try_for_each(|handle| handle.file.sync())?;
        self.synced(&synced);
        Ok(())
    }

    /// Says that nothing of it is known to be on disk.
    pub(crate) fn distrust_disk(&mut self) {
        self.synced_size = 0;
        self.cuts += 1;
        self.offsets.distrust_disk();
        self.times.distrust_disk();
        self.aborts.distrust_disk();
    }

    /// Takes note of what is on disk.
    pub(crate) fn synced(&mut self, synced: &Synced) {
        self.synced_size = self.synced_size.max(synced.size);
        self.synced_cuts = self.synced_cuts.max(synced.cuts);
        synced.offsets.into_iter().for_each(|entries| self.offsets.synced(entries));
        synced.times.into_iter().for_each(|entries| self.times.synced(entries));
        synced.aborts.into_iter().for_each(|entries| self.aborts.synced(entries));
    }

    /// Makes the segment end where the batch at `position` begins, whose first offset is `next_offset` or above,
    /// as far as memory and indexes go; entries that are out of order go too.
    fn cut_indexes(&mut self, at: At<'_, I>, position: u64, next_offset: i64) -> io::Result<()> {
        let relative = next_offset - self.base_offset;
        self.offsets.retain_prefix(at, |entry| {
            u64::from(entry.position) < position && i64::from(entry.relative) < relative
        })?;
        self.times.retain_prefix(at, |entry| i64::from(entry.relative) < relative)?;
        self.aborts.retain_prefix(at, |entry| entry.last_offset < next_offset)?;
        self.bytes_since_entry = position - self.offsets.last(at)?.map_or(0, |last| u64::from(last.position));
        self.newest = None;
        Ok(())
    }

    /// Cuts the file at `position`, where the batch of `next_offset` would begin, and the indexes with it, for good:
    /// nothing of what is cut off comes back.
    pub(crate) fn truncate(&mut self, at: At<'_, I>, position: u64, next_offset: i64) -> io::Result<()> {
        self.cut_indexes(at, position, next_offset)?;
        self.log_file(at)?.file.set_len(position)?;
        self.cuts += 1;
        self.size = position;
        self.synced_size = self.synced_size.min(position);
        if position == 0 {
            self.first_timestamp = None;
        }
        self.sync(at)
    }

    /// Prepares for walking the batches again from the last index entry that can be trusted, and returns its
    /// position; [`Segment::added`] is then called for each batch from there. With `up_to`, entries for offsets
    /// at or behind it are dropped and the others checked one by one; without, the last entry is trusted if a
    /// batch that fits stands where it points.
    pub(crate) fn rewind(&mut self, at: At<'_, I>, up_to: Option<i64>) -> io::Result<u64> {
        let end = self.size;
        if let Some(up_to) = up_to {
            let relative = up_to - self.base_offset;
            self.offsets.retain_prefix(at, |entry| {
                i64::from(entry.relative) < relative && u64::from(entry.position) < end
            })?;
            self.times.retain_prefix(at, |entry| i64::from(entry.relative) < relative)?;
            self.aborts.retain_prefix(at, |entry| {
                entry.first_offset < entry.last_offset && entry.last_offset < up_to
            })?;
        }
        let mut position = 0;
        if let Some(entry) = self.offsets.last(at)? {
            let handle = self.log_file(at)?;
            let mut scan = Scan::headers(&handle.file, &at.store.buffers, u64::from(entry.position), end);
            let last_offset = self.base_offset + i64::from(entry.relative);
            match scan.next()? {
                Some(Ok(met)) if met.header.last_offset() == last_offset => {
                    position = u64::from(entry.position)
                }
                _ => {
                    self.offsets.retain_prefix(at, |_| false)?;
                    self.times.retain_prefix(at, |_| false)?;
                }
            }
        }
        let newest = match self.times.last(at)? {
            Some(last) => {
                Newest { timestamp: last.timestamp, offset: self.base_offset + i64::from(last.relative) }
            }
            None => Newest { timestamp: -1, offset: self.base_offset },
        };
        self.indexed_timestamp = newest.timestamp;
        self.newest = Some(newest);
        self.size = position;
        self.synced_size = position;
        self.bytes_since_entry = 0;
        Ok(position)
    }

    /// Whether an index speaks of offsets at or behind `offset`.
    pub(crate) fn is_indexed_behind(&mut self, at: At<'_, I>, offset: i64) -> io::Result<bool> {
        let relative = offset - self.base_offset;
        Ok(self.times.last(at)?.is_some_and(|last| i64::from(last.relative) >= relative)
            || self.offsets.last(at)?.is_some_and(|last| i64::from(last.relative) >= relative)
            || self.aborts.last(at)?.is_some_and(|last| last.last_offset >= offset))
    }

    /// Makes all files, empty.
    pub(crate) fn create_files(&mut self, at: At<'_, I>) -> io::Result<()> {
        for kind in [Kind::Log, Kind::Index, Kind::TimeIndex, Kind::TxnIndex] {
            at.store.io.open(&at.path(kind), Access::Write)?.set_len(0)?;
        }
        Ok(())
    }

    /// Closes all files.
    pub(crate) fn close(&mut self, at: At<'_, I>) {
        if self.reserved > self.size {
            // What cannot be given back now is when the segment is finished.
            let _ = self.release_reserve(at);
        }
        at.store.handles.close(&mut self.log);
        self.offsets.close(at);
        self.times.close(at);
        self.aborts.close(at);
    }
}

/// From this size on a segment is busy enough for room to be asked for ahead of its writes: the file system then finds
/// one long extent instead of looking for blocks at every page, which makes a large write
/// cheaper (ext4, measured: 0.35 instead of 0.44 s of CPU a GiB in batches of 64 KiB) and its cost steady.
const RESERVE_FROM_BYTES: u64 = 4 << 20;

/// How much room is asked for at once: a quarter of a second of a fast producer, and little enough to lend to every
/// busy partition.
const RESERVE_BYTES: u64 = 16 << 20;

/// Positions in the index have 32 bits, of which Kafka uses 31.
const MAX_SEGMENT_BYTES: u64 = i32::MAX as u64;
