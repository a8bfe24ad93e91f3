//! From batches to a message set.

use bytes::{BufMut, Bytes, BytesMut};

use super::{ENTRY_BYTES, Magic};
use crate::batch::{BatchError, Record, TimestampKind, split};

/// The flag in the attributes of magic 1 for times of arrival.
const LOG_APPEND_TIME_BIT: i8 = 0x08;

/// Makes a message set of the records at or behind `first_offset`.
///
/// `batches` is what was read from the log: whole batches, of which the last may be torn, and is then left out.
/// The set ends before the record that would make it longer than `max_bytes`, save that it always holds one, for
/// otherwise a consumer would never get past a large record. `decompressed_max_bytes` bounds what one batch may
/// decompress to.
pub fn from_batches(
    batches: &Bytes,
    magic: Magic,
    first_offset: i64,
    max_bytes: usize,
    decompressed_max_bytes: usize,
) -> Result<BytesMut, BatchError> {
    let mut set = BytesMut::new();
    for batch in split(batches.clone()) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(BatchError::Truncated { .. }) => break,
            Err(e) => return Err(e),
        };
        // Old clients know nothing of transactions and would take a control record for data.
        if batch.header().is_control() || batch.header().last_offset() < first_offset {
            continue;
        }
        let kind = batch.header().timestamp_kind();
        for record in batch.records(decompressed_max_bytes)? {
            let record = record?;
            if record.offset < first_offset {
                continue;
            }
            let before = set.len();
            put(&mut set, magic, kind, &record)?;
            if set.len() > max_bytes && before > 0 {
                set.truncate(before);
                return Ok(set);
            }
        }
    }
    Ok(set)
}

fn put(set: &mut BytesMut, magic: Magic, kind: TimestampKind, record: &Record) -> Result<(), BatchError> {
    let start = set.len();
    set.put_i64(record.offset);
    // Length and checksum, which are known at the end.
    set.put_i32(0);
    set.put_u32(0);
    set.put_i8(magic.byte());
    match (magic, kind) {
        (Magic::V0, _) => set.put_i8(0),
        (Magic::V1, TimestampKind::Create) => set.put_i8(0),
        (Magic::V1, TimestampKind::LogAppend) => set.put_i8(LOG_APPEND_TIME_BIT),
    }
    if magic == Magic::V1 {
        set.put_i64(record.timestamp_ms);
    }
    for bytes in [&record.key, &record.value] {
        match bytes {
            None => set.put_i32(-1),
            Some(bytes) => {
                set.put_i32(as_length(bytes.len())?);
                set.put_slice(bytes);
            }
        }
    }
    let length = as_length(set.len() - start - ENTRY_BYTES)?;
    let crc_at = start + ENTRY_BYTES;
    set[crc_at - 4..crc_at].copy_from_slice(&length.to_be_bytes());
    let crc = crc_fast::crc32_iso_hdlc(&set[crc_at + 4..]);
    set[crc_at..crc_at + 4].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

fn as_length(bytes: usize) -> Result<i32, BatchError> {
    i32::try_from(bytes).map_err(|_| BatchError::TooLarge { limit: i32::MAX as usize })
}
