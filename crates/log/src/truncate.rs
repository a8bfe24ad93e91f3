//! Making a log shorter, at either end.
//!
//! Cutting the end happens when a replica finds that its leader has other records there. It waits for the disk,
//! because a tail that comes back after a loss of power could be taken for records of the new leader. What holds:
//! - At any moment the disk has a log without a gap that ends somewhere between the new end and the old one. So the
//!   newest files go first, and their names are gone for good before the file in which the cut lies gets shorter.
//! - When the cut returns, nothing of what it took can come back: names, batches, index entries, producers. If the
//!   process is killed before, the next start finds a mark, and waits for the disk in its stead.
//! - After it, checkpoints must be written before anything is appended: the recovery point has moved back, and a start
//!   that believed the old one would not look at what was appended since.
//! - If it fails, memory and disk may differ: the log must be opened again before it is used.
//!
//! Cutting the beginning waits for nothing: what comes back was sound, and is deleted again. Where the log goes on must
//! survive it, so the last segment has a file, if an empty one, before those before it go.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::io::{Access, Io};
use crate::layout::{CUT_IN_PROGRESS, Kind, State, file_path};
use crate::log::PartitionLog;
use crate::store::{Step, StorageError, Store};

/// Files that are out of use, to be removed without the log's lock: freeing a gigabyte takes the file system
/// tens of milliseconds.
#[derive(Debug)]
#[must_use = "the files take space until they are removed (or the log is opened again)"]
pub struct Garbage<I: Io> {
    store: Arc<Store<I>>,
    paths: Vec<PathBuf>,
    bytes: u64,
    is_dir: bool,
}

impl<I: Io> Garbage<I> {
    pub(crate) fn new(store: &Arc<Store<I>>) -> Self {
        Self { store: store.clone(), paths: Vec::new(), bytes: 0, is_dir: false }
    }

    /// Gives the batches of a segment the name of what waits to be removed, and notes its files.
    pub(crate) fn push_segment(&mut self, dir: &Path, base_offset: i64) -> Result<(), StorageError> {
        // The batches go under the new name first: if more fails, the next start tidies up what is left.
        let path = file_path(dir, base_offset, Kind::Log, State::Live);
        let retired = file_path(dir, base_offset, Kind::Log, State::Deleted);
        self.store.io.rename(&path, &retired).step("rename", &path)?;
        self.paths.push(retired);
        for kind in [Kind::Index, Kind::TimeIndex, Kind::TxnIndex] {
            self.paths.push(file_path(dir, base_offset, kind, State::Live));
        }
        Ok(())
    }

    pub(crate) fn add_bytes(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Bytes of batches that go.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Removes the files.
    pub fn remove(self) -> Result<(), StorageError> {
        for path in &self.paths {
            let removed =
                if self.is_dir { self.store.io.remove_dir(path) } else { self.store.io.remove_file(path) };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StorageError::new("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// An offset that is not in the log.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// Only replicated records can be deleted.
    #[error("cannot delete records up to {offset}: the high watermark is {high_watermark}")]
    OutOfRange {
        /// The wanted offset.
        offset: i64,
        /// The high watermark.
        high_watermark: i64,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl<I: Io> PartitionLog<I> {
    /// Removes all records from `offset` on, with the whole of the batch that covers it.
    pub fn truncate_to(&mut self, offset: i64) -> Result<(), StorageError> {
        if offset >= self.end_offset {
            return Ok(());
        }
        if offset <= self.start_offset {
            return self.restart_at(offset);
        }
        self.key = self.store.new_key();
        let mark = self.dir.join(CUT_IN_PROGRESS);
        self.store.io.open(&mark, Access::Write).step("create", &mark)?;
        // The segment that begins at the offset stays, empty: its name says where the log goes on.
        self.remove_segments_behind(self.segment_of(offset))?;
        let active = self.active();
        let end = self.with_segment(active, "truncate", |segment, at| {
            let Some((position, base_offset)) = segment.find_batch(at, offset)? else { return Ok(offset) };
            let end = base_offset.min(offset);
            segment.truncate(at, position, end)?;
            Ok(end)
        })?;
        self.store.io.remove_file(&mark).step("remove", &mark)?;
        self.end_offset = end;
        // The batch that went may begin below the start: then nothing is left, and the leader sends that batch whole.
        self.start_offset = self.start_offset.min(end);
        self.high_watermark = self.high_watermark.min(end);
        self.durable_offset = self.durable_offset.min(end);
        self.recovery_point = self.recovery_point.min(end);
        self.epochs.truncate_end(end);
        let before = std::mem::take(&mut self.producers);
        self.learn_producers(i64::MAX)?;
        self.producers.inherit(&before, end);
        self.settled_offset =
            self.producers.first_ongoing_offset().unwrap_or(end).min(self.settled_offset).min(end);
        self.producers.replicated_up_to(self.high_watermark);
        Ok(())
    }

    /// Removes everything and begins at `offset`: a replica is so far behind that its leader has deleted what it
    /// would need next.
    pub fn restart_at(&mut self, offset: i64) -> Result<(), StorageError> {
        self.clear(offset.max(0))
    }

    /// Deletes records below `offset`. Segments that end below it go at once, the rest when its segment does.
    pub fn delete_records(&mut self, offset: i64) -> Result<Garbage<I>, DeleteError> {
        if offset > self.high_watermark {
            return Err(DeleteError::OutOfRange { offset, high_watermark: self.high_watermark });
        }
        self.start_offset = self.start_offset.max(offset);
        self.epochs.truncate_start(self.start_offset);
        Ok(self.retire_below_start()?)
    }

    /// Takes segments out of use that end at or below the start offset. The active one stays.
    pub(crate) fn retire_below_start(&mut self) -> Result<Garbage<I>, StorageError> {
        let below =
            self.segments.windows(2).take_while(|pair| pair[1].base_offset <= self.start_offset).count();
        self.retire_oldest(below)
    }

    /// Takes the oldest segments out of use; the log begins behind them.
    pub(crate) fn retire_oldest(&mut self, count: usize) -> Result<Garbage<I>, StorageError> {
        let mut garbage = Garbage::new(&self.store);
        if count.min(self.active()) > 0 {
            // Made by a roll, the last one may have no file yet.
            self.cut_leftovers()?;
        }
        for _ in 0..count.min(self.active()) {
            garbage.push_segment(&self.dir, self.segments[0].base_offset)?;
            let segment = self.segments.remove(0);
            garbage.bytes += segment.size;
            self.names_version += 1;
            self.start_offset = self.start_offset.max(self.segments[0].base_offset);
            self.epochs.truncate_start(self.start_offset);
        }
        let kept = self.snapshots.split_off(&self.segments[0].base_offset);
        for offset in std::mem::replace(&mut self.snapshots, kept) {
            garbage.paths.push(file_path(&self.dir, offset, Kind::Snapshot, State::Live));
        }
        self.high_watermark = self.high_watermark.max(self.start_offset);
        self.durable_offset = self.durable_offset.max(self.start_offset);
        self.recovery_point = self.recovery_point.max(self.segments[0].base_offset);
        Ok(garbage)
    }

    /// Deletes the log. Its directory gets a name under which no start will open it; what is left to do is to
    /// remove it. `unique` keeps apart topics of one name that are deleted one after the other.
    pub fn delete(mut self, unique: &str) -> Result<Garbage<I>, StorageError> {
        self.close_files();
        let mut garbage = Garbage { bytes: self.size_bytes(), is_dir: true, ..Garbage::new(&self.store) };
        if self.has_dir {
            let name = self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let retired = self.store.root().join(format!("{name}.{unique}-delete"));
            self.store.io.rename(&self.dir, &retired).step("rename", &self.dir)?;
            self.store.io.sync_dir(self.store.root()).step("sync", self.store.root())?;
            garbage.paths.push(retired);
        }
        Ok(garbage)
    }
}
