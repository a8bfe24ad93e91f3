//! Getting bytes to the disk, without holding up appends.
//!
//! Three steps: [`PartitionLog::prepare_flush`] collects open files under the broker's lock (writing what is
//! only in memory into the page cache), [`Flush::run`] waits for the disk without any lock, and
//! [`PartitionLog::flushed`] takes note. Many appends share one flush; that is the group commit.

use std::path::PathBuf;
use std::sync::Arc;

use crate::handles::Handle;
use crate::io::{Access, File, Io, replace_file};
use crate::layout::{Kind, LEADER_EPOCHS, State, file_path};
use crate::log::PartitionLog;
use crate::segment::Synced;
use crate::store::{Step, StorageError, Store, sync_new_dir};

/// How much a flush covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The batches: enough to acknowledge them. Moves the durable offset.
    Batches,
    /// Also indexes, producers and epochs, so that a start need not look at these batches again. Moves the
    /// recovery point. At most one of these at a time for one log.
    Everything,
}

/// Work for the thread that waits for the disk.
#[derive(Debug)]
pub struct Flush<I: Io> {
    store: Arc<Store<I>>,
    dir: PathBuf,
    files: Vec<(PathBuf, Arc<Handle<I::File>>)>,
    snapshots: Vec<PathBuf>,
    epochs: Option<String>,
    sync_names: bool,
    flushed: Flushed,
}

/// What a flush achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// State of the log that was flushed; void if the log was truncated since.
    key: u64,
    extent: Extent,
    /// Everything below is on disk.
    up_to: i64,
    /// Of every transaction that begins below, the end is among it.
    settled: i64,
    segments: Vec<Synced>,
    epochs_version: u64,
    names_version: u64,
    /// It made the directory's own name durable.
    is_dir_new: bool,
}

impl Flushed {
    /// The offset below which batches are on disk now.
    pub fn up_to(&self) -> i64 {
        self.up_to
    }
}

impl<I: Io> Flush<I> {
    /// Waits for the disk. After an error nobody knows what is on it: the kernel may have dropped the pages, so
    /// trying again proves nothing. The process should end, and its next start look at everything.
    pub fn run(&self) -> Result<Flushed, StorageError> {
        let result = self.sync_all();
        if result.is_err() {
            // If this fails too, the disk is past help and the error below says so.
            let _ = self.store.distrust();
        }
        result.map(|()| self.flushed.clone())
    }

    /// Does what [`Flush::run`] does except waiting for the disk. What it returns holds once a
    /// [`Store::sync_all`] that began afterwards has succeeded, and must not be used before.
    pub fn write_only(&self) -> Result<Flushed, StorageError> {
        if let Some(epochs) = &self.epochs {
            let path = self.dir.join(LEADER_EPOCHS);
            let beside = path.with_extension("tmp");
            let write = || {
                let file = self.store.io.open(&beside, Access::Write)?;
                file.set_len(0)?;
                file.write_bytes_at(epochs.as_bytes(), 0)?;
                self.store.io.rename(&beside, &path)
            };
            write().step("write", &path)?;
        }
        Ok(self.flushed.clone())
    }

    fn sync_all(&self) -> Result<(), StorageError> {
        if self.flushed.is_dir_new {
            sync_new_dir(&self.store.io, self.store.root(), &self.dir)?;
        }
        for (path, handle) in &self.files {
            handle.file.sync().step("sync", path)?;
        }
        for path in &self.snapshots {
            let sync = || self.store.io.open(path, Access::Read)?.sync();
            sync().step("sync", path)?;
        }
        if let Some(epochs) = &self.epochs {
            let path = self.dir.join(LEADER_EPOCHS);
            replace_file(&self.store.io, &path, epochs.as_bytes()).step("write", &path)?;
        }
        if self.sync_names {
            self.store.io.sync_dir(&self.dir).step("sync", &self.dir)?;
        }
        Ok(())
    }
}

impl<I: Io> PartitionLog<I> {
    /// Collects what has to be synced; `None` when everything is on disk.
    pub fn prepare_flush(&mut self, extent: Extent) -> Result<Option<Flush<I>>, StorageError> {
        let everything = extent == Extent::Everything;
        let epochs_changed = everything && self.epochs.version() != self.epochs_saved;
        let point = if everything { self.recovery_point } else { self.durable_offset };
        // A hollow directory has no batch to flush, and may lack what a flush would sync.
        if !self.has_dir || self.is_dir_hollow || (point >= self.end_offset && !epochs_changed) {
            return Ok(None);
        }
        let mut files = Vec::new();
        let mut segments = Vec::new();
        for index in 0..self.segments.len() {
            let path = file_path(&self.dir, self.segments[index].base_offset, Kind::Log, State::Live);
            let (unsynced, synced) =
                self.with_segment(index, "write out", |segment, at| segment.unsynced(at, everything))?;
            if !unsynced.is_empty() {
                files.extend(unsynced.into_iter().map(|file| (path.clone(), file)));
                segments.push(synced);
            }
        }
        let mut snapshots = Vec::new();
        if everything && point < self.end_offset {
            self.write_snapshot()?;
            let written = self.snapshots.range(point + 1..);
            snapshots
                .extend(written.map(|offset| file_path(&self.dir, *offset, Kind::Snapshot, State::Live)));
        }
        Ok(Some(Flush {
            store: self.store.clone(),
            dir: self.dir.to_path_buf(),
            files,
            snapshots,
            epochs: epochs_changed.then(|| self.epochs.encode()),
            // Index files are made when they get their first entries.
            sync_names: everything || self.names_version != self.names_synced,
            flushed: Flushed {
                key: self.key,
                extent,
                up_to: self.end_offset,
                settled: self.producers.first_ongoing_offset().unwrap_or(self.end_offset),
                segments,
                epochs_version: self.epochs.version(),
                names_version: self.names_version,
                is_dir_new: self.is_dir_new,
            },
        }))
    }

    /// Takes note of a flush that succeeded.
    pub fn flushed(&mut self, flushed: &Flushed) {
        if flushed.key != self.key {
            return;
        }
        for synced in &flushed.segments {
            let base_offset = synced.base_offset;
            if let Ok(index) = self.segments.binary_search_by_key(&base_offset, |segment| segment.base_offset)
            {
                self.segments[index].synced(synced);
            }
        }
        self.names_synced = self.names_synced.max(flushed.names_version);
        self.is_dir_new &= !flushed.is_dir_new;
        self.durable_offset = self.durable_offset.max(flushed.up_to);
        if flushed.extent == Extent::Everything {
            self.recovery_point = self.recovery_point.max(flushed.up_to);
            self.settled_offset = flushed.settled;
            self.epochs_saved = flushed.epochs_version;
            self.drop_stray_snapshots();
        }
    }

    /// Flushes everything and closes the files; for an orderly stop.
    pub fn close(mut self) -> Result<i64, StorageError> {
        if let Some(flush) = self.prepare_flush(Extent::Everything)? {
            let flushed = flush.run()?;
            self.flushed(&flushed);
        }
        self.close_files();
        Ok(self.recovery_point)
    }

    /// Closes the files, as `Store::close_unused_files` would do in a while.
    pub fn close_files(&mut self) {
        for index in 0..self.segments.len() {
            // Closing has no result.
            let _ = self.with_segment(index, "close", |segment, at| {
                segment.close(at);
                Ok(())
            });
        }
    }

    /// Keeps the snapshot of each segment's beginning and the newest one.
    fn drop_stray_snapshots(&mut self) {
        let Some(newest) = self.snapshots.range(..=self.recovery_point).next_back().copied() else { return };
        let is_stray =
            |offset: &i64| self.segments.binary_search_by_key(offset, |segment| segment.base_offset).is_err();
        let stray: Vec<i64> = self.snapshots.range(..newest).copied().filter(is_stray).collect();
        for offset in stray {
            let path = file_path(&self.dir, offset, Kind::Snapshot, State::Live);
            // One that stays is removed at the next start.
            let _ = self.store.io.remove_file(&path);
            self.snapshots.remove(&offset);
        }
    }
}
