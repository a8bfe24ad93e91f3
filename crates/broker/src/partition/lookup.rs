//! Questions about a log that are not reads: by time, by leader epoch.

use protocol::{ErrorCode, batch};

use super::Partition;

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
        let end = self.inspect(|log| log.epoch_end_offset(epoch))?;
        let parts = end.leader_epoch < epoch || end.end_offset < offset;
        Ok(parts.then_some((end.leader_epoch, end.end_offset)))
    }

    /// The leader epoch of the record at `offset`.
    ///
    /// # Errors
    /// If the log cannot be opened.
    pub fn epoch_at(&self, offset: i64) -> Result<Option<i32>, ErrorCode> {
        self.inspect(|log| log.epoch_of(offset))
    }
}

/// How much of a log is looked through at once.
const SCAN_CHUNK_BYTES: usize = 1 << 20;

impl Partition {
    /// The first record whose time is not before `time_ms`: its time and offset.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn first_since(&self, time_ms: i64, max_bytes: usize) -> Result<Option<(i64, i64)>, ErrorCode> {
        let mut offset = self.offsets()?.start;
        while let Some((batches, next)) = self.load(offset, SCAN_CHUNK_BYTES)? {
            for batch in
                batch::split(batches).flatten().filter(|batch| batch.header().max_timestamp >= time_ms)
            {
                let records = batch.records(max_bytes).map_err(|error| error.code())?;
                for record in records.flatten() {
                    if record.timestamp_ms >= time_ms {
                        return Ok(Some((record.timestamp_ms, record.offset)));
                    }
                }
            }
            offset = next;
        }
        Ok(None)
    }

    /// The newest record by time, the first of several: its time and offset.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn newest_record(&self, max_bytes: usize) -> Result<Option<(i64, i64)>, ErrorCode> {
        let mut newest: Option<i64> = None;
        let mut offset = self.offsets()?.start;
        while let Some((batches, next)) = self.load(offset, SCAN_CHUNK_BYTES)? {
            let times = batch::split(batches).flatten().map(|batch| batch.header().max_timestamp);
            newest = times.chain(newest).max();
            offset = next;
        }
        newest.map_or(Ok(None), |time| self.first_since(time, max_bytes))
    }
}
