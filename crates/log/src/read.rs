//! Reading: the very bytes that were appended a moment ago, or a range of a file.
//!
//! Planning a read happens under the broker's lock and touches at most a few pages of index; moving the data
//! does not: a [`FileRange`] is loaded, or streamed by the connection, without the log. A reader that goes on
//! where its last read ended is recognised and needs no index at all.
//!
//! A range never contains a batch that ends at or above the reader's limit, and always begins with the batch
//! that covers the wanted offset, which may begin before it.
//!
//! If the log is truncated while a range is outstanding, the range may yield batches of the new leader or end
//! early; it never yields bytes that were not appended. Followers that truncate are not read from meanwhile.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::batch::Header;

use crate::append::TAIL_DEMAND_BYTES;
use crate::handles::Handle;
use crate::io::{File, Io};
use crate::log::PartitionLog;
use crate::recent::Place;
use crate::scan::{Scan, plausible};
use crate::store::{StorageError, Store};

/// What a read found.
#[derive(Debug)]
pub enum Read<I: Io> {
    /// Nothing below the limit yet, or not even one batch within `max_bytes`.
    Empty,
    /// Whole batches that are still in memory.
    Memory {
        /// The bytes, in order.
        slices: Vec<Bytes>,
        /// How many there are.
        bytes: usize,
        /// The offset to read next.
        next_offset: i64,
    },
    /// Batches in a file; the last one may be cut short by `max_bytes`.
    File(FileRange<I>),
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is not in the log.
    #[error("offset {offset} is outside of the log, which has {start_offset} to {end_offset}")]
    OutOfRange {
        /// The wanted offset.
        offset: i64,
        /// First offset in the log.
        start_offset: i64,
        /// Offset of the next record.
        end_offset: i64,
    },
    /// The disk, or what is on it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReadError {
    /// What Kafka's protocol calls it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Storage(error) if error.source_kind() == io::ErrorKind::InvalidData => {
                ErrorCode::CorruptMessage
            }
            Self::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

/// Batches in a file that stays open (and readable, even if it is removed) as long as this lives.
#[derive(Debug)]
pub struct FileRange<I: Io> {
    store: Arc<Store<I>>,
    file: Arc<Handle<I::File>>,
    key: u64,
    segment: i64,
    position: u64,
    len: usize,
}

/// A range that was read into memory.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Whole batches.
    pub bytes: Bytes,
    /// The offset to read next; `None` when there is no batch.
    pub next_offset: Option<i64>,
}

impl<I: Io> FileRange<I> {
    /// Where in the file it begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none; a read never returns such a range.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file, for whoever moves the bytes by other means.
    pub fn file(&self) -> &I::File {
        &self.file.file
    }

    /// Reads a part of the range, `from` bytes behind its beginning, for streaming. Returns fewer bytes than the
    /// buffer holds only at the end of the range.
    pub fn read_at(&self, buffer: &mut [u8], from: usize) -> io::Result<usize> {
        let wanted = buffer.len().min(self.len.saturating_sub(from));
        self.file.file.read_full_at(&mut buffer[..wanted], self.position + from as u64)
    }

    /// Reads the whole range into pooled memory, leaves away a batch that is cut short, and remembers where the
    /// reader will go on.
    pub fn load(&self) -> io::Result<Loaded> {
        let mut buffer = self.store.buffers.take(self.len);
        let filled = self.file.file.read_full_at(&mut buffer.memory()[..self.len], self.position)?;
        let memory = &buffer.memory()[..filled];
        let mut whole = 0;
        let mut next_offset = None;
        while let Some(header) = whole_batch(&memory[whole..]) {
            whole += header.size_bytes();
            next_offset = Some(header.last_offset() + 1);
        }
        if let Some(next_offset) = next_offset {
            let place = Place { segment: self.segment, position: self.position + whole as u64 };
            self.store.resumes.note(self.key, next_offset, place);
        }
        Ok(Loaded { bytes: buffer.freeze(whole), next_offset })
    }
}

fn whole_batch(bytes: &[u8]) -> Option<Header> {
    Header::parse(bytes).and_then(|header| plausible(header, bytes.len() as u64)).ok()
}

impl<I: Io> PartitionLog<I> {
    /// Finds batches from the one that covers `offset`, as far as they end below `upper` (the high watermark or
    /// the last stable offset; `i64::MAX` for a replica) and fit into `max_bytes`. With `min_one` the first batch
    /// is returned even if it alone is larger.
    pub fn read(
        &mut self,
        offset: i64,
        max_bytes: usize,
        upper: i64,
        min_one: bool,
    ) -> Result<Read<I>, ReadError> {
        if offset < self.start_offset || offset > self.end_offset {
            let (start_offset, end_offset) = (self.start_offset, self.end_offset);
            return Err(ReadError::OutOfRange { offset, start_offset, end_offset });
        }
        if offset == self.end_offset {
            self.tail_demand_bytes = TAIL_DEMAND_BYTES;
        }
        if offset >= upper.min(self.end_offset) {
            return Ok(Read::Empty);
        }
        if let Some((slices, bytes, next_offset)) =
            self.store.recent.read(self.key, offset, max_bytes, upper, min_one)
        {
            self.tail_demand_bytes = TAIL_DEMAND_BYTES;
            return Ok(if bytes == 0 { Read::Empty } else { Read::Memory { slices, bytes, next_offset } });
        }
        let Some((index, position)) = self.locate(offset)? else { return Ok(Read::Empty) };
        let limit = self.limit(index, upper)?;
        let mut len = limit.saturating_sub(position);
        if len == 0 {
            return Ok(Read::Empty);
        }
        if len > max_bytes as u64 {
            let first = self.with_segment(index, "read", |segment, at| {
                let file = segment.log_file(at)?;
                let mut scan = Scan::headers(&file.file, &at.store.buffers, position, segment.size);
                match scan.next()? {
                    Some(Ok(met)) => Ok(met.header.size_bytes()),
                    Some(Err(bad)) => Err(io::Error::new(io::ErrorKind::InvalidData, bad)),
                    None => Ok(0),
                }
            })?;
            if first > max_bytes && !min_one {
                return Ok(Read::Empty);
            }
            len = len.min(first.max(max_bytes) as u64);
        } else if index == self.active() && limit == self.segments[index].size {
            // Reads up to the end: the next read will be for what is appended from now on.
            self.tail_demand_bytes = TAIL_DEMAND_BYTES;
        }
        let file = self.with_segment(index, "open", |segment, at| segment.log_file(at))?;
        Ok(Read::File(FileRange {
            store: self.store.clone(),
            file,
            key: self.key,
            segment: self.segments[index].base_offset,
            position,
            len: len as usize,
        }))
    }

    /// Segment and position of the batch that covers `offset`, or of the first behind it where compaction left a
    /// gap.
    pub(crate) fn locate(&mut self, offset: i64) -> Result<Option<(usize, u64)>, StorageError> {
        if let Some(place) = self.store.resumes.find(self.key, offset)
            && let Ok(index) =
                self.segments.binary_search_by_key(&place.segment, |segment| segment.base_offset)
        {
            if place.position < self.segments[index].size {
                return Ok(Some((index, place.position)));
            }
            if index < self.active() && self.segments[index + 1].size > 0 {
                return Ok(Some((index + 1, 0)));
            }
        }
        for index in self.segment_of(offset)..self.segments.len() {
            if let Some(position) =
                self.with_segment(index, "find an offset in", |segment, at| segment.find(at, offset))?
            {
                return Ok(Some((index, position)));
            }
        }
        Ok(None)
    }

    /// Up to which position of a segment a reader with this limit may read.
    fn limit(&mut self, index: usize, upper: i64) -> Result<u64, StorageError> {
        let segment_end = self.segments.get(index + 1).map_or(self.end_offset, |next| next.base_offset);
        if upper >= segment_end {
            return Ok(self.segments[index].size);
        }
        let found = self.with_segment(index, "find an offset in", |segment, at| segment.find(at, upper))?;
        Ok(found.unwrap_or(self.segments[index].size))
    }
}
