//! What happens to a partition besides appends and reads: opening at the start, settings, deletion, closing.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use log::io::Disk;
use log::{Extent, Flushed, Known, LogConfig, RecoveryReport, StorageError};
use protocol::ErrorCode;

use super::{Partition, Slot, State, chain};
use crate::config::TopicConfig;

/// Says what recovery found, where there is something to say.
pub(super) fn say(partition: &Partition, report: &RecoveryReport) {
    let Some(damage) = &report.damage else { return };
    let (position, offset, cut_bytes) = (damage.position, damage.offset, report.cut_bytes);
    let (file, reason) = (damage.file.display(), &damage.reason);
    if damage.in_the_middle {
        tracing::error!(topic.name = %partition.topic, partition = partition.index, %file, position, offset, cut_bytes,
            %reason, "a log was damaged in the middle; it ends before the damage now, and what followed is lost");
    } else {
        tracing::info!(topic.name = %partition.topic, partition = partition.index, %file, position, offset, cut_bytes,
            %reason, "cut a write that a crash left unfinished off a log");
    }
}

impl Partition {
    /// Tells the partition what checkpoints say about its log. Only before its first use.
    pub(crate) fn found_on_disk(&self, known: Known) {
        let mut state = self.lock();
        if matches!(state.slot, Slot::Closed(_)) {
            state.slot = Slot::Closed(known);
        }
    }

    /// Opens the log now, which recovers it. `false` if it is offline.
    pub(crate) fn open_now(&self) -> bool {
        self.with_log(&mut self.lock(), |_| ()).is_ok()
    }

    /// What checkpoints should say about the log; `None` if it has nothing on disk.
    pub(crate) fn known(&self) -> Option<Known> {
        let state = self.lock();
        match &state.slot {
            Slot::Open(log) => Some(Known {
                stopped: log::Stopped::Clean,
                recovery_point: log.recovery_point(),
                start_offset: log.start_offset(),
                high_watermark: log.high_watermark(),
            }),
            Slot::Closed(known) if known.recovery_point > 0 => Some(*known),
            _ => None,
        }
    }

    /// Puts other settings in force.
    pub(crate) fn reconfigure(&self, settings: &TopicConfig, config: &Arc<LogConfig>) {
        let mut state = self.lock();
        state.config = Arc::clone(config);
        state.durability = settings.durability;
        state.flush_messages = settings.flush_messages;
        if let Slot::Open(log) = &mut state.slot {
            log.set_config(Arc::clone(config));
        }
    }

    /// Ends the partition: everybody who waits is woken, the directory is set aside and removed in the background.
    pub(crate) fn delete(&self) {
        let mut state = self.lock();
        if let Slot::Open(mut log) = std::mem::replace(&mut state.slot, Slot::Gone) {
            log.close_files();
        }
        self.storage.set_aside(&self.topic, self.index);
        state.waiters.wake();
    }

    /// Closes the log for an orderly stop. `false` if the next start has to look at it.
    pub(crate) fn close(&self) -> bool {
        self.close_again(&mut self.lock())
    }

    fn close_again(&self, state: &mut State) -> bool {
        match std::mem::replace(&mut state.slot, Slot::Gone) {
            Slot::Open(log) => {
                let (start_offset, high_watermark) = (log.start_offset(), log.high_watermark());
                match log.close() {
                    Ok(recovery_point) => {
                        let stopped = log::Stopped::Clean;
                        state.slot =
                            Slot::Closed(Known { stopped, recovery_point, start_offset, high_watermark });
                        true
                    }
                    Err(error) => {
                        // Whatever is on disk, the next start looks at it.
                        state.slot = Slot::Offline;
                        tracing::error!(topic.name = %self.topic, partition = self.index, error = %chain(&error),
                            "a log could not be closed");
                        false
                    }
                }
            }
            Slot::Offline => {
                state.slot = Slot::Offline;
                false
            }
            other => {
                state.slot = other;
                true
            }
        }
    }

    /// Makes everything durable, so that recovery has nothing to read. Called without any lock held, on a thread that
    /// may wait.
    pub(crate) fn checkpoint(&self) -> Result<(), ErrorCode> {
        self.sync_extent(Extent::Everything).map_err(|error| {
            // No room for an index or a snapshot: nothing that was acknowledged depends on it.
            self.storage.write_failed(&error)
        })
    }

    /// The first half of a checkpoint of many logs at once: writes what is only in memory. Then the whole file system is
    /// synced, and [`Partition::checkpointed`] takes note. `None` if there is nothing to do.
    pub(crate) fn begin_checkpoint(&self) -> Option<Flushed> {
        let prepared = {
            let mut state = self.lock();
            let Slot::Open(log) = &mut state.slot else { return None };
            log.prepare_flush(Extent::Everything)
        };
        let written = prepared.and_then(|flush| flush.map(|flush| flush.write_only()).transpose());
        written.unwrap_or_else(|error| {
            // Tried again one by one, where it is said what failed.
            tracing::debug!(topic.name = %self.topic, partition = self.index, error = %chain(&error),
                "a log was left out of a common checkpoint");
            None
        })
    }

    /// Notes that the file system was synced after [`Partition::begin_checkpoint`].
    pub(crate) fn checkpointed(&self, flushed: &Flushed) {
        if let Slot::Open(log) = &mut self.lock().slot {
            log.flushed(flushed);
        }
    }

    /// How long its segments are together. A log that nobody uses stays closed: its files are looked at from outside.
    pub(crate) fn size_bytes(&self) -> Result<u64, ErrorCode> {
        let state = self.lock();
        match &state.slot {
            Slot::Open(log) => Ok(log.size_bytes()),
            Slot::Closed(_) => {
                drop(state);
                Ok(self.storage.segment_bytes(&self.topic, self.index))
            }
            Slot::Offline => Err(ErrorCode::KafkaStorageError),
            Slot::Gone => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// Whether [`Partition::checkpoint`] would do anything.
    pub(crate) fn needs_checkpoint(&self) -> bool {
        matches!(&self.lock().slot, Slot::Open(log) if log.needs_checkpoint())
    }

    /// Whether the log is open, so that upkeep has something to look at.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.lock().slot, Slot::Open(_))
    }

    /// Gives memory back that only a busy partition needs.
    pub(crate) fn shrink(&self) {
        self.lock().waiters.shrink();
    }
}

impl Partition {
    /// Batches from `offset` on, whole, and the offset behind them; `None` at the end.
    pub(crate) fn load(&self, offset: i64, max_bytes: usize) -> Result<Option<(Bytes, i64)>, ErrorCode> {
        let read = self.inspect(|log| log.read(offset, max_bytes, i64::MAX, true))?;
        match read.map_err(|error| error.code())? {
            log::Read::Empty => Ok(None),
            log::Read::Memory { slices, next_offset, .. } => {
                let mut whole = BytesMut::new();
                slices.iter().for_each(|slice| whole.extend_from_slice(slice));
                Ok(Some((whole.freeze(), next_offset)))
            }
            log::Read::File(range) => {
                // Outside of the lock: a range stays readable without it.
                let loaded = range.load().map_err(|error| {
                    tracing::error!(topic.name = %self.topic, partition = self.index, %error, "a log could not be read");
                    ErrorCode::KafkaStorageError
                })?;
                Ok(loaded.next_offset.map(|next| (loaded.bytes, next)))
            }
        }
    }

    /// Removes what retention no longer wants. Called on a thread that may wait for the disk.
    pub(crate) fn retain(&self, now_ms: i64) {
        let retained = {
            let mut state = self.lock();
            let config = Arc::clone(&state.config);
            let was_closed = match state.slot {
                // Nobody has used it since the start, and its records get old all the same.
                Slot::Closed(known) if known.recovery_point > known.start_offset && config.delete => {
                    state.slot = self.open(known, &config);
                    true
                }
                _ => false,
            };
            let Slot::Open(log) = &mut state.slot else { return };
            log.expire_producers(now_ms);
            let retained = log.retain(now_ms);
            if was_closed {
                self.close_again(&mut state);
            }
            retained
        };
        match retained {
            Ok(garbage) => self.remove(garbage),
            Err(error) => self.upkeep_failed(&error, "apply retention to"),
        }
    }

    /// Deletes records below `offset`; -1 stands for the high watermark. The new begin of the log.
    pub(crate) fn delete_records(&self, offset: i64) -> Result<i64, ErrorCode> {
        let deleted = self.inspect(|log| {
            let offset = if offset == -1 { log.high_watermark() } else { offset };
            log.delete_records(offset).map(|garbage| (garbage, log.start_offset()))
        })?;
        match deleted {
            Ok((garbage, start)) => {
                self.remove(garbage);
                Ok(start)
            }
            Err(log::DeleteError::Storage(error)) => {
                self.upkeep_failed(&error, "delete records of");
                Err(ErrorCode::KafkaStorageError)
            }
            Err(_) => Err(ErrorCode::OffsetOutOfRange),
        }
    }

    /// Removes files that are out of use. Not under the lock: unlinking a large file takes a while.
    fn remove(&self, garbage: log::Garbage<Disk>) {
        if garbage.is_empty() {
            return;
        }
        let bytes = garbage.bytes();
        match garbage.remove() {
            Ok(()) => {
                self.storage.metrics.freed_bytes.inc_by(bytes);
                tracing::info!(topic.name = %self.topic, partition = self.index, bytes, "removed old records");
            }
            Err(error) => self.upkeep_failed(&error, "remove files of"),
        }
    }

    fn upkeep_failed(&self, error: &StorageError, step: &str) {
        tracing::warn!(topic.name = %self.topic, partition = self.index, error = %chain(error),
            "could not {step} a log; it is tried again at the next round");
    }

    /// Compacts the log if that is due. Called on a thread that may wait; `pace` is told how many bytes were read or
    /// written and may sleep. `false` if nothing was due.
    pub(crate) fn compact(&self, now_ms: i64, pace: impl FnMut(usize)) -> bool {
        let prepared = {
            let mut state = self.lock();
            let Slot::Open(log) = &mut state.slot else { return false };
            log.prepare_compaction(now_ms)
        };
        let compacted = match prepared {
            Ok(None) => return false,
            Ok(Some(compaction)) => compaction.run(pace),
            Err(error) => Err(error),
        };
        let applied = compacted.and_then(|compacted| {
            let mut state = self.lock();
            match &mut state.slot {
                Slot::Open(log) => log.apply_compaction(compacted).map(Some),
                // Deleted or closed meanwhile: what was written goes with the directory or at the next start.
                _ => Ok(None),
            }
        });
        match applied {
            Ok(garbage) => {
                self.storage.metrics.compactions.inc();
                garbage.into_iter().for_each(|garbage| self.remove(garbage));
            }
            Err(error) => self.upkeep_failed(&error, "compact"),
        }
        true
    }
}
