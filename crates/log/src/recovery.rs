//! Opening a log: what is in the directory, where it ends, and what its batches say about producers and leaders.
//!
//! How much is looked at depends on how the last process ended ([`Stopped`]):
//!
//! | ended | batches read | why that is enough |
//! | --- | --- | --- |
//! | in an orderly way | headers behind the last index entry | everything was written out and synced |
//! | killed | the same; headers from the last checkpoint for producers | the page cache is intact, only the last write can be short |
//! | with the machine | everything behind the recovery point, checksums verified | any page written since may be missing |
//!
//! The log ends at the first batch that is not sound. If nothing sound follows, that was a torn write; if
//! something does, the middle is damaged, and the report says so by file, position and offset, for what
//! follows can never be read again and is removed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use protocol::batch::{BatchError, Header, Marker};
use uuid::Uuid;

use crate::append::read_marker;
use crate::compact::swap;
use crate::config::LogConfig;
use crate::epochs::Epochs;
use crate::io::{Entry, File, Io, read_file};
use crate::layout::{self, CUT_IN_PROGRESS, Kind, LEADER_EPOCHS, State, file_path};
use crate::log::PartitionLog;
use crate::producers::{Producers, snapshot};
use crate::scan::{Scan, plausible};
use crate::segment::Segment;
use crate::store::{Known, Step, Stopped, StorageError, Store};

/// How far behind a bad batch to look for a sound one: more than any single write, so that what is found there
/// proves damage in the middle, and little enough to take milliseconds.
const LOOK_AHEAD_BYTES: u64 = 64 << 20;

/// What opening a log found.
#[derive(Debug)]
pub struct RecoveryReport {
    /// How the last process ended.
    pub stopped: Stopped,
    /// Bytes of batches that were looked at to find the end.
    pub scanned_bytes: u64,
    /// Bytes that were cut off.
    pub cut_bytes: u64,
    /// Why they were; `None` when nothing was cut.
    pub damage: Option<Damage>,
}

/// Where a log was found not to be sound.
#[derive(Debug)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Position of the bad batch in it.
    pub position: u64,
    /// Offset that the bad batch should have had, or a later one; the log ends here now.
    pub offset: i64,
    /// What is wrong with it.
    pub reason: BatchError,
    /// Whether sound batches followed: then records in the middle were lost, not just a write cut short.
    pub in_the_middle: bool,
}

impl<I: Io> PartitionLog<I> {
    /// Opens the log of a partition. A directory that does not exist is an empty log, and stays so until the
    /// first append.
    pub fn open(
        store: &Arc<Store<I>>,
        topic: &str,
        partition: i32,
        topic_id: Uuid,
        config: Arc<LogConfig>,
        known: Known,
    ) -> Result<(Self, RecoveryReport), StorageError> {
        let dir = store.partition_dir(topic, partition);
        let entries = match store.io.list(&dir) {
            Ok(entries) if swap::recover(store, &dir, &entries)? => {
                Some(store.io.list(&dir).step("list", &dir)?)
            }
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StorageError::new("list", dir, error)),
        };
        let start_offset = known.start_offset.max(0);
        let mut log = Self {
            store: store.clone(),
            dir: dir.into(),
            topic_id,
            config,
            segments: Vec::new(),
            start_offset,
            end_offset: start_offset,
            high_watermark: start_offset,
            durable_offset: start_offset,
            recovery_point: start_offset,
            settled_offset: start_offset,
            epochs: Epochs::default(),
            epochs_saved: 0,
            producers: Producers::default(),
            snapshots: std::collections::BTreeSet::new(),
            key: store.new_key(),
            tail_demand_bytes: 0,
            has_leftovers: false,
            names_version: 0,
            names_synced: 0,
            has_dir: entries.is_some(),
            is_dir_new: false,
            is_dir_hollow: false,
        };
        let mut report =
            RecoveryReport { stopped: known.stopped, scanned_bytes: 0, cut_bytes: 0, damage: None };
        let entries = entries.unwrap_or_default();
        log.take_stock(&entries)?;
        log.find_end(known, &mut report)?;
        if entries.iter().any(|entry| entry.name == CUT_IN_PROGRESS) {
            log.finish_cut()?;
        }
        log.start_offset = log.start_offset.max(log.segments[0].base_offset);
        if log.end_offset < log.start_offset {
            // Records up to the start offset were deleted by request, and the file that held the rest is gone.
            log.clear(log.start_offset)?;
        }
        log.recovery_point = known.recovery_point.clamp(log.segments[0].base_offset, log.end_offset);
        if known.stopped == Stopped::Clean {
            log.recovery_point = log.end_offset;
        }
        log.durable_offset = log.recovery_point;
        if known.stopped == Stopped::ProcessDied {
            log.distrust_disk();
        }
        log.learn(known)?;
        if known.stopped != Stopped::ProcessDied || log.recovery_point == log.end_offset {
            // What was read came from the disk. After a kill the next flush will tell.
            log.settled_offset = log.producers.first_ongoing_offset().unwrap_or(log.end_offset);
        }
        log.high_watermark = known.high_watermark.clamp(log.start_offset, log.end_offset);
        log.producers.replicated_up_to(log.high_watermark);
        Ok((log, report))
    }

    /// Lists segments and snapshots and tidies up after what was interrupted.
    fn take_stock(&mut self, entries: &[Entry]) -> Result<(), StorageError> {
        let sizes: BTreeMap<String, u64> =
            entries.iter().map(|entry| (entry.name.clone(), entry.len)).collect();
        for entry in entries.iter().filter(|entry| !entry.is_dir) {
            let Some((offset, kind, state)) = layout::parse_file_name(&entry.name) else { continue };
            match (kind, state) {
                (Kind::Log, State::Live) => {
                    let size_of = |kind| sizes.get(&layout::file_name(offset, kind, State::Live)).copied();
                    let is_indexed = size_of(Kind::Index).is_some() && size_of(Kind::TimeIndex).is_some();
                    let size_of = |kind| size_of(kind).filter(|_| is_indexed || kind == Kind::TxnIndex);
                    self.segments.push(Segment::existing(offset, entry.len, size_of));
                }
                (Kind::Snapshot, State::Live) => {
                    self.snapshots.insert(offset);
                }
                (_, State::Deleted | State::Cleaned) => {
                    let path = self.dir.join(&entry.name);
                    self.store.io.remove_file(&path).step("remove", &path)?;
                }
                _ => {}
            }
        }
        self.segments.sort_by_key(|segment| segment.base_offset);
        for entry in entries {
            let Some((offset, kind, State::Live)) = layout::parse_file_name(&entry.name) else { continue };
            let has = |kind| sizes.contains_key(&layout::file_name(offset, kind, State::Live));
            let is_stray = match kind {
                Kind::Log | Kind::Snapshot => false,
                Kind::TxnIndex => !has(Kind::Log),
                // One without the other would be taken for all there is to know; they are made again together.
                Kind::Index | Kind::TimeIndex => {
                    !(has(Kind::Log) && has(Kind::Index) && has(Kind::TimeIndex))
                }
            };
            if is_stray {
                let path = self.dir.join(&entry.name);
                self.store.io.remove_file(&path).step("remove", &path)?;
            }
        }
        if self.segments.is_empty() {
            self.segments.push(Segment::new(self.start_offset));
            self.has_leftovers = true;
            self.is_dir_hollow = self.has_dir;
        }
        Ok(())
    }

    /// Establishes where the log ends.
    fn find_end(&mut self, known: Known, report: &mut RecoveryReport) -> Result<(), StorageError> {
        let verify = known.stopped == Stopped::MachineDied;
        let first = if verify { self.first_in_doubt(known.recovery_point) } else { self.active() };
        for index in 0..self.segments.len() {
            if index < first || self.segments[index].base_offset < known.recovery_point {
                self.index_again(index)?;
            }
        }
        let mut expected = self.segments[first].base_offset;
        for index in first..self.segments.len() {
            // Compaction leaves gaps between segments, but only below the recovery point.
            let base_offset = self.segments[index].base_offset;
            if index > first && (base_offset < expected || base_offset > expected.max(known.recovery_point)) {
                let reason = BatchError::Header("the next file does not begin where the log ends");
                self.end_here(index - 1, expected, reason, report)?;
                break;
            }
            if index > first {
                // The start after the next looks only at the active segment if the process is killed.
                self.with_segment(index - 1, "finish", |segment, at| segment.finish(at))?;
            }
            if let Err(bad) =
                self.walk_segment(index, &mut expected, verify.then_some(known.recovery_point), report)?
            {
                self.end_here(index, expected, bad, report)?;
                break;
            }
        }
        self.end_offset = expected.max(self.segments[self.active()].base_offset);
        Ok(())
    }

    /// Makes the indexes of a segment that has none, though it is large enough for some, and waits for the disk:
    /// indexes below the recovery point are believed.
    fn index_again(&mut self, index: usize) -> Result<(), StorageError> {
        let interval = self.config.index_interval_bytes;
        let end = self.segments[index].size;
        if end <= u64::from(interval) || !self.segments[index].is_unindexed() {
            return Ok(());
        }
        self.with_segment(index, "index", |segment, at| {
            let from = segment.rewind(at, None)?;
            let handle = segment.log_file(at)?;
            let mut scan = Scan::headers(&handle.file, &at.store.buffers, from, end);
            while let Some(Ok(met)) = scan.next()? {
                segment.added(at, &met.header, interval);
            }
            // A batch that cannot be read is for the reader to find.
            segment.size = end;
            segment.finish(at)?;
            segment.sync(at)
        })?;
        self.names_version += 1;
        Ok(())
    }

    /// Walks one segment from the last index entry that can be trusted to its end, adding index entries for
    /// what it meets. `expected` is the smallest offset that the next batch may have.
    fn walk_segment(
        &mut self,
        index: usize,
        expected: &mut i64,
        verify_from: Option<i64>,
        report: &mut RecoveryReport,
    ) -> Result<Result<(), BatchError>, StorageError> {
        let interval = self.config.index_interval_bytes;
        self.with_segment(index, "recover", |segment, at| {
            *expected = segment.base_offset;
            let end = segment.size;
            if end == 0 && segment.is_unindexed() {
                return Ok(Ok(()));
            }
            let mut from = segment.rewind(at, verify_from)?;
            loop {
                report.scanned_bytes += end - from;
                let handle = segment.log_file(at)?;
                let mut scan = match verify_from {
                    Some(_) => Scan::checked(&handle.file, &at.store.buffers, from, end),
                    None => Scan::headers(&handle.file, &at.store.buffers, from, end),
                };
                let walked = loop {
                    // What lies before the recovery point was verified when it was written and is on disk.
                    scan.set_check(verify_from.is_some_and(|verify_from| *expected >= verify_from));
                    let header = match scan.next()? {
                        None => break Ok(()),
                        Some(Err(bad)) => break Err(bad),
                        Some(Ok(met)) => met.header,
                    };
                    if header.base_offset < *expected {
                        break Err(BatchError::Header("its offsets do not follow those before it"));
                    }
                    *expected = header.last_offset() + 1;
                    segment.added(at, &header, interval);
                };
                if !segment.is_indexed_behind(at, *expected)? {
                    return Ok(walked);
                }
                // The end was cut off by an operation that a loss of power interrupted, and the indexes do not know.
                from = segment.rewind(at, Some(*expected))?;
                *expected = segment.base_offset;
            }
        })
    }

    /// Ends the log at the bad batch behind the walked part of segment `index`.
    fn end_here(
        &mut self,
        index: usize,
        offset: i64,
        reason: BatchError,
        report: &mut RecoveryReport,
    ) -> Result<(), StorageError> {
        let later_bytes: u64 = self.segments[index + 1..].iter().map(|segment| segment.size).sum();
        let (position, len, sound_follows) =
            self.with_segment(index, "look behind the damage in", |segment, at| {
                let handle = segment.log_file(at)?;
                let len = handle.file.len()?;
                let sound = sound_batch_behind(&handle.file, segment.size + 1, len, offset)?;
                Ok((segment.size, len, sound))
            })?;
        report.cut_bytes = len - position + later_bytes;
        report.damage = Some(Damage {
            file: file_path(&self.dir, self.segments[index].base_offset, Kind::Log, State::Live),
            position,
            offset,
            reason,
            in_the_middle: sound_follows || later_bytes > 0,
        });
        self.remove_segments_behind(index)?;
        self.with_segment(index, "cut", |segment, at| {
            let handle = segment.log_file(at)?;
            handle.file.set_len(position)?;
            // What is cut off must not come back behind the records that will stand here next.
            handle.file.sync()
        })
    }

    /// Removes the segments behind `index`, newest first and durably: what comes next may rely on it that they do not
    /// come back.
    pub(crate) fn remove_segments_behind(&mut self, index: usize) -> Result<(), StorageError> {
        if index == self.active() {
            return Ok(());
        }
        for later in self.segments.split_off(index + 1).into_iter().rev() {
            self.remove_segment_files(later.base_offset)?;
        }
        self.names_version += 1;
        self.store.io.sync_dir(&self.dir).step("sync", &self.dir)
    }

    /// The first segment that may have changes that are not on disk: the one that ends at the recovery point may
    /// have got its last index entries, or have lost a batch that could not be written whole, after it was synced.
    fn first_in_doubt(&self, recovery_point: i64) -> usize {
        self.segment_of(recovery_point - 1)
    }

    /// Waits for the disk in the stead of a process that was killed while it cut off the end.
    fn finish_cut(&mut self) -> Result<(), StorageError> {
        self.with_segment(self.active(), "sync", |segment, at| {
            segment.distrust_disk();
            segment.sync(at)
        })?;
        self.store.io.sync_dir(&self.dir).step("sync", &self.dir)?;
        let mark = self.dir.join(CUT_IN_PROGRESS);
        self.store.io.remove_file(&mark).step("remove", &mark)
    }

    /// What the dead process wrote is in the page cache, but nobody knows whether it is on disk: the next flush
    /// must cover all of it.
    fn distrust_disk(&mut self) {
        let first = self.first_in_doubt(self.recovery_point);
        self.segments[first..].iter_mut().for_each(Segment::distrust_disk);
        self.names_version += 1;
        self.is_dir_new = self.has_dir;
    }

    /// Reads epochs and producers from their files and, for what those do not cover, from the batches.
    fn learn(&mut self, known: Known) -> Result<(), StorageError> {
        let path = self.dir.join(LEADER_EPOCHS);
        let content = read_file(&self.store.io, &path).step("read", &path)?;
        let epochs = content.and_then(|content| Epochs::parse(std::str::from_utf8(&content).ok()?));
        let is_epochs_file_good = epochs.is_some();
        self.epochs = epochs.unwrap_or_default();
        self.epochs.truncate_end(self.end_offset);
        if known.stopped != Stopped::Clean {
            // The file may still speak of records that were cut off and replaced by others since it was written. Those
            // lie behind the recovery point, from where the batches themselves are asked.
            self.epochs.truncate_end(self.recovery_point);
        }
        self.epochs.truncate_start(self.start_offset);
        // After a loss of power, what was written behind the recovery point may be there or not: producers are
        // learned from the batches, and with them the transactions that were aborted.
        let trusted = if known.stopped == Stopped::MachineDied { self.recovery_point } else { i64::MAX };
        let epochs_from = match known.stopped {
            _ if !is_epochs_file_good => 0,
            Stopped::Clean => i64::MAX,
            Stopped::ProcessDied | Stopped::MachineDied => self.recovery_point,
        };
        self.drop_snapshots_behind(trusted)?;
        self.learn_producers(epochs_from)
    }

    /// Learns producers from the newest snapshot and the batches behind it, and epochs from the batches at or
    /// behind `epochs_from`.
    pub(crate) fn learn_producers(&mut self, epochs_from: i64) -> Result<(), StorageError> {
        self.drop_snapshots_behind(self.end_offset)?;
        // One from before the first batch (its removal was not durable) lacks what was deleted since.
        let usable = self.snapshots.split_off(&self.segments[0].base_offset);
        for before in std::mem::replace(&mut self.snapshots, usable) {
            self.remove_snapshot(before)?;
        }
        let producers_from = self.load_snapshot()?;
        self.walk_from(producers_from.min(epochs_from), producers_from)
    }

    /// Removes snapshots of a future that did not come to be, durably, lest they are found in another one.
    fn drop_snapshots_behind(&mut self, offset: i64) -> Result<(), StorageError> {
        let Some(first) = offset.checked_add(1) else { return Ok(()) };
        let behind = self.snapshots.split_off(&first);
        for offset in &behind {
            self.remove_snapshot(*offset)?;
        }
        if behind.is_empty() { Ok(()) } else { self.store.io.sync_dir(&self.dir).step("sync", &self.dir) }
    }

    /// Takes over the newest readable snapshot and returns its offset; damaged ones are removed.
    fn load_snapshot(&mut self) -> Result<i64, StorageError> {
        while let Some(offset) = self.snapshots.last().copied() {
            let path = file_path(&self.dir, offset, Kind::Snapshot, State::Live);
            let content = read_file(&self.store.io, &path).step("read", &path)?;
            if let Some(producers) = content.and_then(|content| snapshot::decode(&content)) {
                self.producers = producers;
                return Ok(offset);
            }
            self.snapshots.remove(&offset);
            self.remove_snapshot(offset)?;
        }
        Ok(self.segments[0].base_offset)
    }

    fn remove_snapshot(&self, offset: i64) -> Result<(), StorageError> {
        let path = file_path(&self.dir, offset, Kind::Snapshot, State::Live);
        match self.store.io.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StorageError::new("remove", path, error))
            }
            _ => Ok(()),
        }
    }

    /// Notes epochs of all batches from `from` on and producers of those from `producers_from` on.
    fn walk_from(&mut self, from: i64, producers_from: i64) -> Result<(), StorageError> {
        if from >= self.end_offset {
            return Ok(());
        }
        for index in self.segment_of(from)..self.segments.len() {
            if self.segments[index].size == 0 {
                continue;
            }
            let mut seen: Vec<(Header, Option<Marker>)> = Vec::new();
            self.with_segment(index, "learn from", |segment, at| {
                let position = segment.position_before(at, from)?;
                let handle = segment.log_file(at)?;
                let mut scan = Scan::headers(&handle.file, &at.store.buffers, position, segment.size);
                while let Some(met) = scan.next()? {
                    let met = met.map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
                    let (header, position) = (met.header, met.position);
                    if header.last_offset() < from {
                        continue;
                    }
                    let marker = if header.is_control() {
                        let mut batch = vec![0; header.size_bytes()];
                        handle.file.read_exact_at(&mut batch, position)?;
                        read_marker(&Bytes::from(batch))
                    } else {
                        None
                    };
                    // Batches without producer and of a known epoch have nothing to tell.
                    let tells_epoch =
                        seen.last().is_none_or(|(last, _)| last.leader_epoch != header.leader_epoch);
                    if header.has_producer() || tells_epoch {
                        seen.push((header, marker));
                    }
                }
                Ok(())
            })?;
            for (header, marker) in seen {
                self.epochs.assign(header.leader_epoch, header.base_offset);
                if header.base_offset >= producers_from {
                    self.note_producer(index, &header, marker)?;
                }
            }
        }
        Ok(())
    }

    /// Removes everything, durably; the log is empty and begins at `offset`.
    pub(crate) fn clear(&mut self, offset: i64) -> Result<(), StorageError> {
        for segment in std::mem::take(&mut self.segments).into_iter().rev() {
            self.remove_segment_files(segment.base_offset)?;
        }
        for snapshot in std::mem::take(&mut self.snapshots) {
            self.remove_snapshot(snapshot)?;
        }
        if self.has_dir {
            self.store.io.sync_dir(&self.dir).step("sync", &self.dir)?;
        }
        self.segments.push(Segment::new(offset));
        self.has_leftovers = true;
        self.producers = Producers::default();
        self.epochs.truncate_end(0);
        self.start_offset = offset;
        self.end_offset = offset;
        self.high_watermark = offset;
        self.durable_offset = offset;
        self.recovery_point = offset;
        self.settled_offset = offset;
        self.key = self.store.new_key();
        self.names_version += 1;
        Ok(())
    }

    /// Removes the files of a segment, the batches last, so that an interruption leaves no index without log.
    pub(crate) fn remove_segment_files(&self, base_offset: i64) -> Result<(), StorageError> {
        for kind in [Kind::Index, Kind::TimeIndex, Kind::TxnIndex, Kind::Log] {
            let path = file_path(&self.dir, base_offset, kind, State::Live);
            match self.store.io.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StorageError::new("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a sound batch of an offset not below `offset` stands anywhere in `[from, end)`.
fn sound_batch_behind<F: File>(file: &F, from: u64, end: u64, offset: i64) -> io::Result<bool> {
    const WINDOW_BYTES: usize = 1 << 20;
    let end = end.min(from + LOOK_AHEAD_BYTES);
    let mut position = from;
    let mut window = vec![0; WINDOW_BYTES];
    while position + (Header::BYTES as u64) <= end {
        let wanted = WINDOW_BYTES.min((end - position) as usize);
        let filled = file.read_full_at(&mut window[..wanted], position)?;
        if filled < Header::BYTES {
            break;
        }
        for at in 0..=filled - Header::BYTES {
            let left = end - position - at as u64;
            let Ok(header) = Header::parse(&window[at..filled]).and_then(|header| plausible(header, left))
            else {
                continue;
            };
            if header.base_offset < offset {
                continue;
            }
            let mut batch = vec![0; header.size_bytes()];
            file.read_exact_at(&mut batch, position + at as u64)?;
            if header.check_crc(&batch).is_ok() {
                return Ok(true);
            }
        }
        position += (filled - Header::BYTES + 1) as u64;
    }
    Ok(false)
}
