//! The fixed part of a batch.

use crate::batch::{BatchError, Compression};

pub(super) const LENGTH_AT: usize = 8;
pub(super) const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
/// The checksum covers everything from here.
pub(super) const ATTRIBUTES_AT: usize = 21;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;

/// Base offset and length itself, which the length does not count.
const UNCOUNTED_BYTES: usize = 12;

const COMPRESSION_BITS: i16 = 0x07;
pub(super) const LOG_APPEND_TIME_BIT: i16 = 0x08;
pub(super) const TRANSACTIONAL_BIT: i16 = 0x10;
pub(super) const CONTROL_BIT: i16 = 0x20;
pub(super) const DELETE_HORIZON_BIT: i16 = 0x40;

pub(super) const MAGIC: i8 = 2;

/// Whose clock the timestamps of a batch show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampKind {
    /// The producer's, record by record.
    Create,
    /// The broker's: every record has the batch's maximum timestamp.
    LogAppend,
}

/// The fixed part of a batch, in the units and under the names of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Offset of the first record (or what was the first before compaction).
    pub base_offset: i64,
    /// Bytes that follow the length field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; producers send anything.
    pub leader_epoch: i32,
    /// CRC-32C of everything behind it.
    pub crc: u32,
    /// Compression and flags; ask the methods.
    pub attributes: i16,
    /// Offset of the last record, relative to the base.
    pub last_offset_delta: i32,
    /// What timestamp deltas of records are relative to; the delete horizon where the flag says so.
    pub base_timestamp: i64,
    /// The largest timestamp of a record, or the time of arrival.
    pub max_timestamp: i64,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 without idempotence.
    pub base_sequence: i32,
    /// How many records there are.
    pub record_count: i32,
}

impl Header {
    /// How long the fixed part is.
    pub const BYTES: usize = 61;

    /// Reads the fixed part from the start of `bytes`, which need not hold the records. Of its fields only those
    /// are judged without which the bytes are no batch at all: magic and length.
    pub fn parse(bytes: &[u8]) -> Result<Header, BatchError> {
        // The magic sits at the same place in all formats and is the more helpful complaint.
        if let Some(magic) = bytes.get(MAGIC_AT).map(|byte| byte.cast_signed())
            && magic != MAGIC
        {
            return Err(BatchError::Magic(magic));
        }
        let Some(fixed) = bytes.first_chunk::<{ Header::BYTES }>() else {
            return Err(BatchError::Truncated { wanted: Header::BYTES, remaining: bytes.len() });
        };
        let header = Header {
            base_offset: i64::from_be_bytes(at(fixed, 0)),
            batch_length: i32::from_be_bytes(at(fixed, LENGTH_AT)),
            leader_epoch: i32::from_be_bytes(at(fixed, LEADER_EPOCH_AT)),
            crc: u32::from_be_bytes(at(fixed, CRC_AT)),
            attributes: i16::from_be_bytes(at(fixed, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(at(fixed, 23)),
            base_timestamp: i64::from_be_bytes(at(fixed, 27)),
            max_timestamp: i64::from_be_bytes(at(fixed, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(at(fixed, 43)),
            producer_epoch: i16::from_be_bytes(at(fixed, 51)),
            base_sequence: i32::from_be_bytes(at(fixed, 53)),
            record_count: i32::from_be_bytes(at(fixed, 57)),
        };
        if header.batch_length < (Header::BYTES - UNCOUNTED_BYTES) as i32 {
            return Err(BatchError::Length(header.batch_length));
        }
        Ok(header)
    }

    /// The length of the whole batch.
    pub fn size_bytes(&self) -> usize {
        // `parse` refuses lengths that are negative.
        UNCOUNTED_BYTES + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Sequence number of the last record. Sequence numbers run to the largest `i32` and start again at 0.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (last % (i64::from(i32::MAX) + 1)) as i32
    }

    /// Whether `next` is what the same idempotent producer sends after this batch.
    pub fn is_followed_by(&self, next: &Header) -> bool {
        let same = self.producer_id == next.producer_id && self.producer_epoch == next.producer_epoch;
        let records = !self.is_control() && !next.is_control() && self.base_sequence >= 0;
        let sequence = self.last_sequence().checked_add(1).unwrap_or(0);
        same && records && next.base_sequence == sequence
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::from_bits((self.attributes & COMPRESSION_BITS) as u8)
    }

    /// Whose clock the timestamps show.
    pub fn timestamp_kind(&self) -> TimestampKind {
        match self.attributes & LOG_APPEND_TIME_BIT {
            0 => TimestampKind::Create,
            _ => TimestampKind::LogAppend,
        }
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the broker wrote it to end a transaction, and consumers skip it.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// Whether an idempotent or transactional producer sent it.
    pub fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    /// When compaction may drop the tombstones of this batch, if it decided that already.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp)
    }

    /// Fails unless `batch`, the whole of it, has the checksum that the header says.
    pub fn check_crc(&self, batch: &[u8]) -> Result<(), BatchError> {
        let wanted = self.size_bytes();
        let Some(covered) = batch.get(ATTRIBUTES_AT..wanted) else {
            return Err(BatchError::Truncated { wanted, remaining: batch.len() });
        };
        let computed = crc_fast::crc32_iscsi(covered);
        if computed != self.crc {
            return Err(BatchError::Crc { stored: self.crc, computed });
        }
        Ok(())
    }
}

/// `N` bytes of the fixed part; the offsets above keep within it.
fn at<const N: usize>(fixed: &[u8; Header::BYTES], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&fixed[offset..offset + N]);
    field
}
