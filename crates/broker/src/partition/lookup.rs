//! Questions about a log that are not reads: by time, by leader epoch.

use log::io::Disk;
use log::{PartitionLog, StorageError};
use protocol::ErrorCode;

use super::{Partition, chain};

impl Partition {
    /// Where the log of a client that has records up to `offset`, the last one in `epoch`, parts from ours: epoch and
    /// end of it here. `None` if it does not, or if the client does not say.
    ///
    /// # Errors
    /// If the log cannot be opened.
    pub fn diverges(&self, epoch: i32, offset: i64) -> Result<Option<(i32, i64)>, ErrorCode> {
        if epoch < 0 {
            return Ok(None);
        }
        let (known, end) = self.epoch_end(epoch)?;
        Ok((known < epoch || end < offset).then_some((known, end)))
    }

    /// The leader epoch of the record at `offset`.
    ///
    /// # Errors
    /// If the log cannot be opened.
    pub fn epoch_at(&self, offset: i64) -> Result<Option<i32>, ErrorCode> {
        self.inspect(|log| log.epoch_of(offset))
    }
}

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed {
    /// Its offset.
    pub offset: i64,
    /// Its time.
    pub timestamp_ms: i64,
    /// The leader epoch in which it was written.
    pub leader_epoch: i32,
}

impl From<log::TimedOffset> for Timed {
    fn from(found: log::TimedOffset) -> Timed {
        let log::TimedOffset { offset, timestamp_ms, leader_epoch } = found;
        Timed { offset, timestamp_ms, leader_epoch }
    }
}

impl Partition {
    /// The first record whose time is not before `time_ms`.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn first_since(&self, time_ms: i64) -> Result<Option<Timed>, ErrorCode> {
        self.timed(|log| log.offset_for_time(time_ms))
    }

    /// The newest record by time, the first of several.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn newest_record(&self) -> Result<Option<Timed>, ErrorCode> {
        self.timed(|log| log.max_timestamp())
    }

    fn timed(
        &self,
        find: impl FnOnce(&mut PartitionLog<Disk>) -> Result<Option<log::TimedOffset>, StorageError>,
    ) -> Result<Option<Timed>, ErrorCode> {
        match self.inspect(find)? {
            Ok(found) => Ok(found.map(Timed::from)),
            Err(error) => {
                tracing::error!(topic.name = %self.topic, partition = self.index, error = %chain(&error),
                    "a log could not be searched");
                Err(ErrorCode::KafkaStorageError)
            }
        }
    }
}

impl Partition {
    /// The newest epoch here that is not above `epoch`, and where it ended; -1 and -1 if there is none.
    ///
    /// # Errors
    /// If the log cannot be opened.
    pub fn epoch_end(&self, epoch: i32) -> Result<(i32, i64), ErrorCode> {
        let offsets = self.offsets()?;
        if epoch == self.leader_epoch {
            // The current epoch goes on at the end of the log, written in or not.
            return Ok((epoch, offsets.end));
        }
        let end = self.inspect(|log| log.epoch_end_offset(epoch))?;
        Ok((end.leader_epoch, end.end_offset))
    }
}
