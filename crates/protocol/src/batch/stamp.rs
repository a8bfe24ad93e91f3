//! What a leader writes into a batch that a producer sent.

use crate::batch::header::{
    ATTRIBUTES_AT, CRC_AT, Header, LEADER_EPOCH_AT, LENGTH_AT, LOG_APPEND_TIME_BIT, MAX_TIMESTAMP_AT,
};

/// Base offset, length and leader epoch: the start of a batch, none of it under the checksum.
pub const STAMPED_PREFIX_BYTES: usize = 16;

/// The start of the batch with the leader's base offset and epoch, for those who write it in front of bytes that
/// they cannot or will not change.
pub fn stamped_prefix(header: &Header, base_offset: i64, leader_epoch: i32) -> [u8; STAMPED_PREFIX_BYTES] {
    let mut prefix = [0; STAMPED_PREFIX_BYTES];
    prefix[..LENGTH_AT].copy_from_slice(&base_offset.to_be_bytes());
    prefix[LENGTH_AT..LEADER_EPOCH_AT].copy_from_slice(&header.batch_length.to_be_bytes());
    prefix[LEADER_EPOCH_AT..].copy_from_slice(&leader_epoch.to_be_bytes());
    prefix
}

/// Writes the leader's base offset and epoch into a batch. The checksum stays valid.
///
/// `batch` must hold at least a [`Header`], which [`Header::parse`] has made sure.
pub fn stamp(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    batch[..LENGTH_AT].copy_from_slice(&base_offset.to_be_bytes());
    batch[LEADER_EPOCH_AT..STAMPED_PREFIX_BYTES].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Makes the time of arrival the time of every record, and renews the checksum.
///
/// `batch` must be one whole batch.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    // The flag is in the lower byte of the attributes.
    batch[ATTRIBUTES_AT + 1] |= LOG_APPEND_TIME_BIT as u8;
    set_max_timestamp(batch, now_ms);
}

/// Corrects the maximum timestamp, and renews the checksum.
///
/// `batch` must be one whole batch.
pub fn set_max_timestamp(batch: &mut [u8], max_timestamp_ms: i64) {
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max_timestamp_ms.to_be_bytes());
    let crc = crc_fast::crc32_iscsi(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}
