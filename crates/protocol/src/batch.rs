//! Record batches (magic 2): what a producer sends, a segment stores and a consumer gets, byte for byte.
//!
//! The broker looks at the [`Header`] of a batch and leaves its records alone. Three things may change on the way:
//! base offset and leader epoch, which the checksum does not cover ([`stamp`], [`stamped_prefix`]), and, where a
//! topic wants the time of arrival, the timestamp, which it does cover ([`set_log_append_time`]). Records are only
//! read to check what a producer sends ([`validate`]), to compact, and by tools.
//!
//! Layout: base offset 8, length of the rest 4, leader epoch 4, magic 1, CRC-32C of all that follows 4, attributes
//! 2, last offset delta 4, base timestamp 8, maximum timestamp 8, producer id 8, producer epoch 2, base sequence 4,
//! record count 4, records (compressed as one).
//!
//! The module knows nothing of offsets that a log hands out, of producers' state, or of topic settings: those are
//! arguments.

mod build;
mod compression;
mod control;
mod error;
mod header;
mod lz4;
mod record;
mod retain;
mod stamp;
mod validate;

pub use build::Builder;
pub use compression::Compression;
pub use control::Marker;
pub use error::BatchError;
pub use header::{Header, TimestampKind};
pub use record::{Record, RecordHeaders, RecordIter};
pub use retain::{Retained, retain};
pub use stamp::{STAMPED_PREFIX_BYTES, set_log_append_time, set_max_timestamp, stamp, stamped_prefix};
pub use validate::{Checks, Validated, validate};

use bytes::Bytes;

/// One batch in memory.
#[derive(Clone, Debug)]
pub struct Batch {
    header: Header,
    bytes: Bytes,
}

impl Batch {
    /// The batch at the start of `bytes`, and no more of them. The checksum is not looked at.
    pub fn parse(bytes: &Bytes) -> Result<Batch, BatchError> {
        let header = Header::parse(bytes)?;
        let (wanted, remaining) = (header.size_bytes(), bytes.len());
        if wanted > remaining {
            return Err(BatchError::Truncated { wanted, remaining });
        }
        Ok(Batch { header, bytes: bytes.slice(..wanted) })
    }

    /// The fixed part.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Fails unless the checksum is that of the bytes.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        self.header.check_crc(&self.bytes)
    }

    /// The records in order. Compressed ones are decompressed first, which fails if they exceed the limit.
    pub fn records(&self, decompressed_max_bytes: usize) -> Result<RecordIter, BatchError> {
        let compressed = self.bytes.slice(Header::BYTES..);
        let plain = match self.header.compression()? {
            Compression::None => compressed,
            codec => Bytes::from(codec.decompress(&compressed, decompressed_max_bytes)?),
        };
        Ok(RecordIter::new(self.header, plain))
    }
}

/// The batches that stand one behind the other in `bytes`. Ends after the first error.
pub fn split(bytes: Bytes) -> Split {
    Split { rest: bytes }
}

/// See [`split`].
#[derive(Debug)]
pub struct Split {
    rest: Bytes,
}

impl Iterator for Split {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = Batch::parse(&self.rest);
        self.rest = match &batch {
            Ok(batch) => self.rest.slice(batch.bytes.len()..),
            Err(_) => Bytes::new(),
        };
        Some(batch)
    }
}
