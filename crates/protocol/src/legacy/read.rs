//! From a message set to a batch.

use bytes::{Bytes, BytesMut};

use super::{COMPRESSION_BITS, ENTRY_BYTES, Magic};
use crate::batch::{BatchError, Builder, Compression};

/// What records without a timestamp have instead.
const NO_TIMESTAMP: i64 = -1;

/// Makes one batch of all messages of a set, compressed as the first of them was.
///
/// Offsets are counted from 0: the broker gives new ones anyway. `decompressed_max_bytes` bounds what all messages
/// together may decompress to. An empty set is refused, as an empty batch is.
pub fn to_batch(set: &Bytes, decompressed_max_bytes: usize) -> Result<BytesMut, BatchError> {
    let mut messages = Messages { rest: set, index: 0 };
    let mut codec = None;
    let mut budget = decompressed_max_bytes;
    let mut found = Vec::new();
    while let Some(message) = messages.next()? {
        codec.get_or_insert(message.compression);
        if message.compression == Compression::None {
            found.push((
                message.timestamp_ms,
                message.key.map(<[u8]>::to_vec),
                message.value.map(<[u8]>::to_vec),
            ));
            continue;
        }
        let index = messages.index - 1;
        let packed = message
            .value
            .ok_or(BatchError::Record { index, problem: "a compressed message without value" })?;
        let plain = unpack(&message, packed, budget)?;
        budget -= plain.len();
        let mut inner = Messages { rest: &plain, index: 0 };
        while let Some(record) = inner.next()? {
            if record.compression != Compression::None {
                return Err(BatchError::Record { index, problem: "compressed twice" });
            }
            found.push((
                record.timestamp_ms,
                record.key.map(<[u8]>::to_vec),
                record.value.map(<[u8]>::to_vec),
            ));
        }
    }
    if found.is_empty() {
        return Err(BatchError::Header("a message set without messages"));
    }
    let codec = codec.unwrap_or(Compression::None);
    let mut builder = Builder::new(codec);
    for (timestamp_ms, key, value) in &found {
        builder.push(*timestamp_ms, key.as_deref(), value.as_deref(), &[]);
    }
    builder.build().map_err(|source| BatchError::Compress { codec, source })
}

fn unpack(message: &Message<'_>, packed: &[u8], max_bytes: usize) -> Result<Vec<u8>, BatchError> {
    match (message.compression, message.magic) {
        // Message format 0 came with a wrong checksum in the header of lz4 frames, which readers had to overlook.
        (Compression::Lz4, Magic::V0) => Compression::Lz4.decompress(&with_lz4_checksum(packed), max_bytes),
        (codec, _) => codec.decompress(packed, max_bytes),
    }
}

/// The lz4 frame with the checksum that its header should have.
fn with_lz4_checksum(frame: &[u8]) -> Vec<u8> {
    const DESCRIPTOR_AT: usize = 4;
    const CONTENT_SIZE_FLAG: u8 = 0x08;
    let mut frame = frame.to_vec();
    let has_size = frame.get(DESCRIPTOR_AT).is_some_and(|flags| flags & CONTENT_SIZE_FLAG != 0);
    let checksum_at = DESCRIPTOR_AT + if has_size { 10 } else { 2 };
    // What is too short for a header is left to the decoder to complain of.
    if frame.len() > checksum_at {
        let hash = twox_hash::XxHash32::oneshot(0, &frame[DESCRIPTOR_AT..checksum_at]);
        frame[checksum_at] = (hash >> 8) as u8;
    }
    frame
}

struct Message<'a> {
    magic: Magic,
    compression: Compression,
    timestamp_ms: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

/// The messages of a set that were not read yet.
struct Messages<'a> {
    rest: &'a [u8],
    index: i32,
}

impl<'a> Messages<'a> {
    fn next(&mut self) -> Result<Option<Message<'a>>, BatchError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let index = self.index;
        let remaining = self.rest.len();
        let Some((entry, behind)) = self.rest.split_first_chunk::<ENTRY_BYTES>() else {
            return Err(BatchError::Truncated { wanted: ENTRY_BYTES, remaining });
        };
        let length = i32::from_be_bytes([entry[8], entry[9], entry[10], entry[11]]);
        let wanted = usize::try_from(length).map_err(|_| BatchError::Length(length))?;
        let Some((message, rest)) = behind.split_at_checked(wanted) else {
            return Err(BatchError::Truncated { wanted: ENTRY_BYTES + wanted, remaining });
        };
        self.rest = rest;
        self.index += 1;
        parse(message, index).map(Some)
    }
}

fn parse(message: &[u8], index: i32) -> Result<Message<'_>, BatchError> {
    let short = || BatchError::Record { index, problem: "ends before its time" };
    let (stored, covered) = message.split_first_chunk::<4>().ok_or_else(short)?;
    let (&[magic, attributes], fields) = covered.split_first_chunk::<2>().ok_or_else(short)?;
    let magic = Magic::from_byte(magic.cast_signed()).ok_or(BatchError::Magic(magic.cast_signed()))?;
    let (stored, computed) = (u32::from_be_bytes(*stored), crc_fast::crc32_iso_hdlc(covered));
    if stored != computed {
        return Err(BatchError::Crc { stored, computed });
    }
    let bits = attributes & COMPRESSION_BITS.cast_unsigned();
    let compression = Compression::from_bits(bits)?;
    if compression == Compression::Zstd {
        // It came years after these formats.
        return Err(BatchError::UnknownCompression(bits));
    }
    let (timestamp_ms, fields) = match magic {
        Magic::V0 => (NO_TIMESTAMP, fields),
        Magic::V1 => {
            let (timestamp, fields) = fields.split_first_chunk::<8>().ok_or_else(short)?;
            (i64::from_be_bytes(*timestamp), fields)
        }
    };
    let (key, fields) = nullable_bytes(fields).ok_or_else(short)?;
    let (value, fields) = nullable_bytes(fields).ok_or_else(short)?;
    if !fields.is_empty() {
        return Err(BatchError::Record { index, problem: "is longer than its fields" });
    }
    Ok(Message { magic, compression, timestamp_ms, key, value })
}

/// A value behind its length, and what follows it.
fn nullable_bytes(fields: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = fields.split_first_chunk::<4>()?;
    match i32::from_be_bytes(*length) {
        -1 => Some((None, rest)),
        length => {
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((Some(value), rest))
        }
    }
}
