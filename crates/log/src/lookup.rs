//! Finding records by time.

use bytes::Bytes;
use protocol::batch::{Batch, Header};

use crate::io::{File, Io};
use crate::log::PartitionLog;
use crate::scan::Scan;
use crate::segment::Newest;
use crate::store::StorageError;

/// Memory that decompressing one batch may take when a record in it is looked up. A batch that passed the
/// broker's own limit when it was produced is well below; one that does not (the limit was lowered, or the
/// batch came from elsewhere) is answered by its first offset instead of its exact record.
const DECOMPRESSED_MAX_BYTES: usize = 64 << 20;

/// A record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOffset {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp_ms: i64,
    /// The leader epoch of its batch.
    pub leader_epoch: i32,
}

impl<I: Io> PartitionLog<I> {
    /// The first record whose timestamp is `timestamp_ms` or later.
    pub fn offset_for_time(&mut self, timestamp_ms: i64) -> Result<Option<TimedOffset>, StorageError> {
        for index in self.segment_of(self.start_offset)..self.segments.len() {
            let newest =
                self.with_segment(index, "read the newest timestamp of", |segment, at| segment.newest(at))?;
            if newest.timestamp < timestamp_ms || self.segments[index].size == 0 {
                continue;
            }
            let from = self.with_segment(index, "search by time", |segment, at| {
                Ok(segment.offset_before_time(at, timestamp_ms)?.max(segment.base_offset))
            })?;
            let from = from.max(self.start_offset);
            let wanted = |header: &Header| header.max_timestamp >= timestamp_ms && header.record_count > 0;
            if let Some(found) = self.first_record(index, from, wanted, |time| time >= timestamp_ms)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp, the first of them if there are several.
    pub fn max_timestamp(&mut self) -> Result<Option<TimedOffset>, StorageError> {
        let newest = self.newest()?;
        if newest.timestamp < 0 {
            return Ok(None);
        }
        let index = self.segment_of(newest.offset);
        let Newest { timestamp, offset } = newest;
        self.first_record(index, offset, |header| header.max_timestamp == timestamp, |time| time >= timestamp)
    }

    /// The first record at or behind `from` in a segment that has a fitting time and is in a fitting batch.
    fn first_record(
        &mut self,
        index: usize,
        from: i64,
        batch_fits: impl Fn(&Header) -> bool,
        time_fits: impl Fn(i64) -> bool,
    ) -> Result<Option<TimedOffset>, StorageError> {
        let start_offset = self.start_offset;
        self.with_segment(index, "search by time", |segment, at| {
            let position = segment.position_before(at, from)?;
            let file = segment.log_file(at)?;
            let mut scan = Scan::headers(&file.file, &at.store.buffers, position, segment.size);
            while let Some(met) = scan.next()? {
                let met = met.map_err(|bad| std::io::Error::new(std::io::ErrorKind::InvalidData, bad))?;
                let header = met.header;
                if header.last_offset() < from || !batch_fits(&header) {
                    continue;
                }
                let mut bytes = vec![0; header.size_bytes()];
                file.file.read_exact_at(&mut bytes, met.position)?;
                let timed = |offset, timestamp_ms| TimedOffset {
                    offset,
                    timestamp_ms,
                    leader_epoch: header.leader_epoch,
                };
                let Some(records) = Batch::parse(&Bytes::from(bytes))
                    .and_then(|batch| batch.records(DECOMPRESSED_MAX_BYTES))
                    .ok()
                else {
                    return Ok(Some(timed(header.base_offset, header.max_timestamp)));
                };
                let found = records
                    .filter_map(Result::ok)
                    .find(|record| record.offset >= start_offset && time_fits(record.timestamp_ms));
                if let Some(record) = found {
                    return Ok(Some(timed(record.offset, record.timestamp_ms)));
                }
            }
            Ok(None)
        })
    }
}
