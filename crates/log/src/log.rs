//! A partition's log: its segments, what is known of producers and leaders, and where it begins and ends.
//!
//! The work is in the neighbours: `append`, `read`, `flush`, `recovery`, `truncate`, `retention`, `compact`.
//! Here is what they share.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::config::LogConfig;
use crate::epochs::{EpochEnd, Epochs};
use crate::io::{File, Io};
use crate::layout::{Kind, State, file_path};
use crate::producers::{Producers, snapshot};
use crate::segment::{Newest, Segment};
use crate::store::{Step, StorageError, Store, write_topic_id};

/// The log of one partition.
///
/// Methods that take `&mut self` are meant to be called under one lock of the broker's; those that wait for
/// the disk hand out a value ([`crate::Flush`], [`crate::FileRange`]) that does its work without that lock.
#[derive(Debug)]
pub struct PartitionLog<I: Io> {
    pub(crate) store: Arc<Store<I>>,
    pub(crate) dir: Box<Path>,
    pub(crate) topic_id: Uuid,
    pub(crate) config: Arc<LogConfig>,
    /// In order of offsets; the last one is the active one. Never empty.
    pub(crate) segments: Vec<Segment<I>>,
    pub(crate) start_offset: i64,
    pub(crate) end_offset: i64,
    pub(crate) high_watermark: i64,
    /// Batches below are on disk.
    pub(crate) durable_offset: i64,
    /// Batches below, and all that is derived from them, are on disk.
    pub(crate) recovery_point: i64,
    /// Of every transaction that begins below, the end is on disk too.
    pub(crate) settled_offset: i64,
    pub(crate) epochs: Epochs,
    /// Version of the epochs that is in the file.
    pub(crate) epochs_saved: u64,
    pub(crate) producers: Producers,
    /// Offsets for which a producer snapshot is in the directory.
    pub(crate) snapshots: BTreeSet<i64>,
    /// Under which the shared caches know this state of the log.
    pub(crate) key: u64,
    /// How many more bytes to keep in memory because somebody reads at the tail.
    pub(crate) tail_demand_bytes: u64,
    /// A failed write may have left bytes behind the last batch.
    pub(crate) has_leftovers: bool,
    /// Counts files that were created or renamed; and up to which count the directory was synced.
    pub(crate) names_version: u64,
    pub(crate) names_synced: u64,
    /// Whether the directory is there. One that was never written costs nothing on disk.
    pub(crate) has_dir: bool,
    /// Whether its own name may not be durable: made by this process, or by one that was killed, and not flushed since.
    pub(crate) is_dir_new: bool,
    /// The directory was found without a file of batches: what else there should be may be missing, and what is there
    /// may not be durable, so the first append makes it as if it were new.
    pub(crate) is_dir_hollow: bool,
}

/// What a log knows about one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Producer id.
    pub producer_id: i64,
    /// Its current epoch.
    pub epoch: i16,
    /// Sequence of its last record; -1 when unknown.
    pub last_sequence: i32,
    /// Timestamp of its last batch.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that ended its last transaction; -1 when there was none.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub transaction_start_offset: Option<i64>,
}

impl<I: Io> PartitionLog<I> {
    /// First offset that can be read.
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// Offset of the next record.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Everything below is on disk, with all that a start needs; to be written to the checkpoint files.
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point
    }

    /// Batches below are on disk.
    pub fn durable_offset(&self) -> i64 {
        self.durable_offset
    }

    /// What was last told to [`PartitionLog::set_high_watermark`].
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Tells the log what is replicated. It bounds retention, compaction and the last stable offset, and settles
    /// transactions. Never moves back, save by truncation.
    pub fn set_high_watermark(&mut self, offset: i64) {
        let offset = offset.clamp(self.start_offset, self.end_offset);
        if offset > self.high_watermark {
            self.high_watermark = offset;
            self.producers.replicated_up_to(offset);
        }
    }

    /// Up to where a reader of committed records may read.
    pub fn last_stable_offset(&self) -> i64 {
        let unstable = self.producers.first_unstable_offset().unwrap_or(i64::MAX);
        unstable.max(self.start_offset).min(self.high_watermark)
    }

    /// Bytes of batches on disk.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Bytes of batches that are not known to be on disk.
    pub fn unsynced_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size - segment.synced_size).sum()
    }

    /// Whether a checkpoint would move the recovery point.
    pub fn needs_checkpoint(&self) -> bool {
        self.recovery_point < self.end_offset
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Configuration in force.
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Changes the configuration; it holds from the next call on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The newest leader epoch that has records here, or was announced.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.latest()
    }

    /// Says that a leader of this epoch begins at the end of the log.
    pub fn begin_epoch(&mut self, epoch: i32) {
        self.epochs.assign(epoch, self.end_offset);
    }

    /// Where a leader epoch ended in this log.
    pub fn epoch_end_offset(&self, epoch: i32) -> EpochEnd {
        self.epochs.end_of(epoch, self.end_offset)
    }

    /// The leader epoch of the record at `offset`.
    pub fn epoch_of(&self, offset: i64) -> Option<i32> {
        self.epochs.of_offset(offset)
    }

    /// Known producers, by id.
    pub fn producers(&self) -> impl Iterator<Item = ProducerInfo> {
        self.producers.iter().map(|(producer_id, producer)| ProducerInfo {
            producer_id,
            epoch: producer.epoch,
            last_sequence: producer.last().map_or(-1, |last| last.last_sequence),
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            transaction_start_offset: producer.transaction_first_offset,
        })
    }

    /// Number of known producers.
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// Forgets producers that were silent for longer than `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, now_ms: i64) {
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms);
        self.producers.shrink();
    }

    /// The active segment's index among the segments.
    pub(crate) fn active(&self) -> usize {
        self.segments.len() - 1
    }

    /// Lets `work` act on one segment with the context it needs.
    pub(crate) fn with_segment<T>(
        &mut self,
        index: usize,
        step: &'static str,
        work: impl FnOnce(&mut Segment<I>, crate::index::At<'_, I>) -> std::io::Result<T>,
    ) -> Result<T, StorageError> {
        let segment = &mut self.segments[index];
        let at = crate::index::At {
            store: &self.store,
            dir: &self.dir,
            base_offset: segment.base_offset,
            state: State::Live,
        };
        let path = || file_path(&self.dir, at.base_offset, Kind::Log, State::Live);
        work(segment, at).map_err(|source| StorageError::new(step, path(), source))
    }

    /// The segment that holds `offset`, if it holds anything at or behind it.
    pub(crate) fn segment_of(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1)
    }

    /// The newest record by timestamp of the whole log: offset of the batch's last record and the timestamp.
    pub(crate) fn newest(&mut self) -> Result<Newest, StorageError> {
        let mut newest = Newest { timestamp: -1, offset: -1 };
        for index in 0..self.segments.len() {
            let found =
                self.with_segment(index, "read the newest timestamp of", |segment, at| segment.newest(at))?;
            if found.timestamp > newest.timestamp {
                newest = found;
            }
        }
        Ok(newest)
    }

    /// Makes the directory when this is the first write.
    pub(crate) fn ensure_dir(&mut self) -> Result<(), StorageError> {
        if self.has_dir && !self.is_dir_hollow {
            return Ok(());
        }
        self.store.io.create_dir(&self.dir).step("create", &self.dir)?;
        write_topic_id(&self.store.io, &self.dir, self.topic_id)?;
        self.has_dir = true;
        self.is_dir_hollow = false;
        // The disk is not waited for here: this is part of an append. The first flush does it.
        self.is_dir_new = true;
        self.names_version += 1;
        Ok(())
    }

    /// Closes the active segment and begins the next one at the end of the log.
    pub(crate) fn roll(&mut self) -> Result<(), StorageError> {
        let active = self.active();
        if self.segments[active].base_offset == self.end_offset {
            return Ok(());
        }
        self.with_segment(active, "finish", |segment, at| segment.finish(at))?;
        self.write_snapshot()?;
        self.segments.push(Segment::new(self.end_offset));
        // Whatever a file of that name holds is not ours.
        self.has_leftovers = true;
        self.names_version += 1;
        Ok(())
    }

    /// Writes what is known of producers now, without syncing it.
    pub(crate) fn write_snapshot(&mut self) -> Result<(), StorageError> {
        if self.snapshots.contains(&self.end_offset) || self.end_offset == 0 {
            return Ok(());
        }
        let path = file_path(&self.dir, self.end_offset, Kind::Snapshot, State::Live);
        let content = snapshot::encode(&self.producers);
        let write = || {
            let file = self.store.io.open(&path, crate::io::Access::Write)?;
            file.set_len(0)?;
            file.write_bytes_at(&content, 0)
        };
        write().step("write", &path)?;
        self.snapshots.insert(self.end_offset);
        self.names_version += 1;
        Ok(())
    }
}
