//! The data directory as all partitions share it, and what the broker does when it fails.
//!
//! A full disk is a state: writes are refused with a reason, reads go on, and the next append that succeeds ends it.
//! Any other failure to write or sync is final: nobody knows what is on the disk then, so the process ends and the next
//! start checks everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use log::io::Disk;
use log::{Checkpoint, Known, Startup, Stopped, StorageError, Store, StoreConfig};
use protocol::ErrorCode;
use tokio_util::sync::CancellationToken;

use super::Partition;
use crate::config::{Config, TopicConfig};
use crate::flush::Flusher;
use crate::metrics::Metrics;
use crate::topics::Topics;

/// Segment files kept open by all partitions together: three for each of a thousand busy ones. Idle ones have none.
pub const MAX_OPEN_FILES: usize = 3_000;

/// From this many logs on one sync of the file system is cheaper than syncing each log's files, which takes
/// milliseconds a log.
const TOGETHER_FROM: usize = 64;

/// Batches kept in memory for consumers that read at the tail. They are slices of request frames, so this is also how
/// much of read buffers may live on.
const RECENT_BYTES: usize = 4 << 20;

/// Read buffers kept for index lookups and cleaning; fetches stream and need none.
const IDLE_BUFFER_BYTES: usize = 1 << 20;

/// What all partitions share.
pub struct Storage {
    pub(super) store: Arc<Store<Disk>>,
    stopped: Stopped,
    pub(super) flusher: Arc<Flusher>,
    pub(super) metrics: Arc<Metrics>,
    /// Cancelled when the disk failed for good.
    failed: CancellationToken,
    full: AtomicBool,
    producer_id_expiration_ms: i64,
    max_producers: usize,
}

impl Storage {
    /// Opens the data directory and says what logs are in it.
    ///
    /// # Errors
    /// If the directory cannot be read or written.
    pub fn open(
        config: &Config,
        flusher: Arc<Flusher>,
        metrics: Arc<Metrics>,
        failed: CancellationToken,
    ) -> Result<(Arc<Storage>, Startup), StorageError> {
        let store_config = StoreConfig {
            max_open_files: MAX_OPEN_FILES,
            recent_bytes: RECENT_BYTES,
            idle_buffer_bytes: IDLE_BUFFER_BYTES,
        };
        // Unreadable only where there is no /proc; then a crash of the process is treated as one of the machine.
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let (store, startup) = Store::open(Disk, &config.data_dir, store_config, &boot_id)?;
        let storage = Storage {
            store,
            stopped: startup.stopped,
            flusher,
            metrics,
            failed,
            full: AtomicBool::new(false),
            producer_id_expiration_ms: config.upkeep.producer_id_expiration_ms,
            max_producers: config.limits.max_producers_per_partition,
        };
        Ok((Arc::new(storage), startup))
    }

    /// Whether the last stop was orderly.
    #[must_use]
    pub fn was_clean(&self) -> bool {
        self.stopped == Stopped::Clean
    }

    /// What a log that nobody found on disk begins with.
    #[must_use]
    pub(super) fn nothing_known() -> Known {
        Known { stopped: Stopped::Clean, recovery_point: 0, start_offset: 0, high_watermark: 0 }
    }

    /// The log's view of a topic's settings.
    #[must_use]
    pub fn log_config(&self, topic: &TopicConfig) -> log::LogConfig {
        let bound = |value: i64| (value >= 0 && value != i64::MAX).then_some(value);
        let size = |value: i32| u32::try_from(value).unwrap_or(0);
        log::LogConfig {
            segment_bytes: size(topic.segment_bytes),
            segment_ms: topic.segment_ms,
            segment_jitter_ms: topic.segment_jitter_ms,
            index_interval_bytes: size(topic.index_interval_bytes),
            segment_index_bytes: size(topic.segment_index_bytes),
            delete: topic.delete,
            compact: topic.compact,
            retention_ms: bound(topic.retention_ms),
            retention_bytes: u64::try_from(topic.retention_bytes).ok(),
            delete_retention_ms: topic.delete_retention_ms,
            min_compaction_lag_ms: topic.min_compaction_lag_ms,
            max_compaction_lag_ms: bound(topic.max_compaction_lag_ms),
            min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
            max_message_bytes: size(topic.max_message_bytes),
            timestamp_type: if topic.log_append_time {
                log::TimestampType::LogAppendTime
            } else {
                log::TimestampType::CreateTime
            },
            timestamp_before_max_ms: bound(topic.timestamp_before_max_ms),
            timestamp_after_max_ms: bound(topic.timestamp_after_max_ms),
            producer_id_expiration_ms: self.producer_id_expiration_ms,
            max_producer_ids: self.max_producers,
        }
    }

    /// What clients are told of a failed write. Enters the full state or ends the broker, as the failure demands.
    pub(super) fn write_failed(&self, error: &StorageError) -> ErrorCode {
        if error.is_full() {
            if !self.full.swap(true, Ordering::AcqRel) {
                self.metrics.disk_full.set(1);
                tracing::error!(error = %chain(error),
                    "the disk is full: produce requests are refused until there is space, reads go on");
            }
        } else if !error.is_missing() {
            self.fail(error);
        }
        ErrorCode::KafkaStorageError
    }

    /// Notes that a write succeeded.
    pub(super) fn write_succeeded(&self) {
        // A load is all that this costs as long as nothing is wrong.
        if self.full.load(Ordering::Acquire) && self.full.swap(false, Ordering::AcqRel) {
            self.metrics.disk_full.set(0);
            tracing::info!("there is space on the disk again: produce requests are accepted");
        }
    }

    /// Whether the disk was full when last written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    pub(super) fn fail(&self, error: &StorageError) {
        if !self.failed.is_cancelled() {
            tracing::error!(error = %chain(error), "the disk failed");
            self.failed.cancel();
        }
    }

    /// Writes down how far each log is safe. `false` if that failed.
    pub(crate) fn write_checkpoints(&self, topics: &Topics) -> bool {
        let mut lines = Vec::new();
        for topic in topics.all() {
            for partition in topic.partitions().iter() {
                if let Some(known) = partition.known() {
                    lines.push((topic.name.clone(), partition.index(), known));
                }
            }
        }
        let checkpoints: Vec<Checkpoint<'_>> = lines
            .iter()
            .map(|(topic, partition, known)| Checkpoint {
                topic,
                partition: *partition,
                recovery_point: known.recovery_point,
                start_offset: known.start_offset,
                high_watermark: known.high_watermark,
            })
            .collect();
        match self.store.write_checkpoints(&checkpoints) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "checkpoints could not be written; recovery would take longer");
                false
            }
        }
    }

    /// Takes a partition's directory out of the way at once and removes it in the background.
    pub(crate) fn set_aside(&self, topic: &str, partition: i32) {
        let dir = self.root().join(format!("{topic}-{partition}"));
        // The suffix is what the store removes at a start, should the process end before the removal does.
        let aside = self.root().join(format!("{topic}-{partition}.{}-delete", uuid::Uuid::new_v4().simple()));
        match std::fs::rename(&dir, &aside) {
            Ok(()) => {
                let remove = move || {
                    if let Err(error) = std::fs::remove_dir_all(&aside) {
                        tracing::warn!(path = %aside.display(), %error, "files of a deleted partition stay until the next start");
                    }
                };
                match tokio::runtime::Handle::try_current() {
                    Ok(runtime) => drop(runtime.spawn_blocking(remove)),
                    Err(_) => remove(),
                }
            }
            // Never written.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %dir.display(), %error,
                "files of a deleted partition could not be set aside; the next start removes them"),
        }
    }

    /// How long the segments of a log are that is not open.
    pub(super) fn segment_bytes(&self, topic: &str, partition: i32) -> u64 {
        let dir = self.root().join(format!("{topic}-{partition}"));
        // Without a directory it was never written.
        let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let segments = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "log"));
        segments.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
    }

    /// Notes how many logs were recovered.
    pub(crate) fn recovered(&self, logs: usize) {
        self.metrics.recovered_logs.set(i64::try_from(logs).unwrap_or(i64::MAX));
    }

    /// Makes many logs durable with one sync of the whole file system, where their number makes that cheaper than one
    /// after the other. Logs that it leaves out are for [`Partition::checkpoint`]. Whether it made any log durable.
    pub(crate) fn checkpoint_together(&self, topics: &Topics) -> bool {
        let dirty: Vec<Arc<Partition>> = topics
            .all()
            .iter()
            .flat_map(|topic| topic.partitions().to_vec())
            .filter(|partition| partition.needs_checkpoint())
            .collect();
        if dirty.len() < TOGETHER_FROM {
            return false;
        }
        let begun: Vec<_> = dirty.iter().filter_map(|it| Some((it, it.begin_checkpoint()?))).collect();
        match self.store.sync_all() {
            Ok(true) => {
                begun.iter().for_each(|(partition, flushed)| partition.checkpointed(flushed));
                true
            }
            Ok(false) => false,
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    pub(crate) fn stop_flushing(&self) {
        self.flusher.stop();
    }

    pub(crate) fn mark_clean(&self) -> bool {
        self.store.mark_clean().is_ok()
    }

    /// Closes files that nobody used lately.
    pub(crate) fn close_unused_files(&self) {
        self.store.close_unused_files();
    }

    /// The data directory.
    #[must_use]
    pub fn root(&self) -> &std::path::Path {
        self.store.root()
    }
}

/// An error with its causes, for one log line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
