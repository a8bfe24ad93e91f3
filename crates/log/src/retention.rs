//! Deleting what is too old or too much.
//!
//! Whole segments go, oldest first, and only what is replicated. When even the active segment has expired it
//! is closed first, so that an idle log ends up empty rather than keeping its last records for ever.

use crate::io::Io;
use crate::log::PartitionLog;
use crate::store::StorageError;
use crate::truncate::Garbage;

impl<I: Io> PartitionLog<I> {
    /// Takes segments out of use that retention by time or size, or the start offset, allows to go.
    pub fn retain(&mut self, now_ms: i64) -> Result<Garbage<I>, StorageError> {
        let mut expired = 0;
        if self.config.delete {
            expired = self.expired_by_time(now_ms)?.max(self.expired_by_size());
        }
        if expired == self.segments.len() {
            self.roll()?;
        }
        // Before the start offset everything goes, whatever the policy.
        let below =
            self.segments.windows(2).take_while(|pair| pair[1].base_offset <= self.start_offset).count();
        self.retire_oldest(expired.max(below))
    }

    /// How many of the oldest segments hold nothing younger than `retention.ms`.
    fn expired_by_time(&mut self, now_ms: i64) -> Result<usize, StorageError> {
        let Some(retention_ms) = self.config.retention_ms else { return Ok(0) };
        let mut expired = 0;
        for index in 0..self.segments.len() {
            if !self.is_replicated(index) {
                break;
            }
            let newest =
                self.with_segment(index, "read the newest timestamp of", |segment, at| segment.newest(at))?;
            // Records without timestamps have no age; only size limits them.
            if newest.timestamp < 0 || now_ms.saturating_sub(newest.timestamp) <= retention_ms {
                break;
            }
            expired += 1;
        }
        Ok(expired)
    }

    /// How many of the oldest segments can go and still leave `retention.bytes`.
    fn expired_by_size(&self) -> usize {
        let Some(retention_bytes) = self.config.retention_bytes else { return 0 };
        let mut surplus = self.size_bytes().saturating_sub(retention_bytes);
        let mut expired = 0;
        for (index, segment) in self.segments.iter().enumerate() {
            if index == self.active() || surplus < segment.size || !self.is_replicated(index) {
                break;
            }
            surplus -= segment.size;
            expired += 1;
        }
        expired
    }

    /// Whether a segment has records and all of them are below the high watermark.
    fn is_replicated(&self, index: usize) -> bool {
        let end = self.segments.get(index + 1).map_or(self.end_offset, |next| next.base_offset);
        self.segments[index].size > 0 && end <= self.high_watermark
    }
}
