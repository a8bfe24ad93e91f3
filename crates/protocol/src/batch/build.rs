//! Making batches: for the broker's own records, for compaction, for clients and tests.

use std::io;

use bytes::{BufMut, BytesMut};

use crate::batch::header::{
    ATTRIBUTES_AT, CONTROL_BIT, CRC_AT, DELETE_HORIZON_BIT, LENGTH_AT, LOG_APPEND_TIME_BIT, MAGIC,
    TRANSACTIONAL_BIT,
};
use crate::batch::{Compression, Header, Record};
use crate::codec::{put_varint, varint_len};

/// A batch that is being filled.
///
/// It starts as a producer's batch: offset 0, no producer id, timestamps of the records.
#[derive(Debug, Clone)]
pub struct Builder {
    header: Header,
    compression: Compression,
    records: BytesMut,
    /// Whether the last offset was fixed and does not follow the records.
    keeps_last_offset: bool,
    /// Whether the maximum timestamp is one of the records added here.
    has_max_timestamp: bool,
    /// Whether the next record's timestamp becomes the base.
    is_first: bool,
}

impl Builder {
    /// An empty batch.
    pub fn new(compression: Compression) -> Builder {
        let header = Header {
            base_offset: 0,
            batch_length: 0,
            leader_epoch: -1,
            crc: 0,
            attributes: i16::from(compression.bits()),
            last_offset_delta: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        };
        Builder {
            header,
            compression,
            records: BytesMut::new(),
            keeps_last_offset: false,
            has_max_timestamp: false,
            is_first: true,
        }
    }

    /// An empty batch that is to take the place of the one with this header in a log: the same offsets, producer,
    /// flags and times, but only those records that are added (with their own offsets, by [`Builder::keep`]).
    pub fn replacing(header: &Header, compression: Compression) -> Builder {
        let flags = header.attributes & !0x07;
        let kept = Header { attributes: flags | i16::from(compression.bits()), record_count: 0, ..*header };
        Builder {
            header: kept,
            compression,
            records: BytesMut::new(),
            keeps_last_offset: true,
            has_max_timestamp: false,
            is_first: false,
        }
    }

    /// The offset of the first record, and the epoch of the leader that appends it.
    pub fn at(mut self, base_offset: i64, leader_epoch: i32) -> Builder {
        self.header.base_offset = base_offset;
        self.header.leader_epoch = leader_epoch;
        self
    }

    /// Sent by an idempotent producer.
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Builder {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Part of a transaction.
    pub fn transactional(mut self) -> Builder {
        self.header.attributes |= TRANSACTIONAL_BIT;
        self
    }

    /// Written by the broker to end a transaction.
    pub fn control(mut self) -> Builder {
        self.header.attributes |= CONTROL_BIT;
        self
    }

    /// Every record arrived at this time, whatever its own says.
    pub fn log_append_time(mut self, now_ms: i64) -> Builder {
        self.header.attributes |= LOG_APPEND_TIME_BIT;
        self.header.max_timestamp = now_ms;
        self
    }

    /// When compaction may drop the tombstones of this batch. Timestamps become relative to it.
    pub fn delete_horizon(mut self, horizon_ms: i64) -> Builder {
        self.header.attributes |= DELETE_HORIZON_BIT;
        self.header.base_timestamp = horizon_ms;
        self.is_first = false;
        self
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.header.record_count == 0
    }

    /// How many records were added.
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// About how long the batch is, before compression.
    pub fn size_bytes(&self) -> usize {
        Header::BYTES + self.records.len()
    }

    /// Adds a record at the next offset.
    pub fn push(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        let mut encoded = BytesMut::new();
        for (name, value) in headers {
            put_bytes(&mut encoded, Some(name.as_bytes()));
            put_bytes(&mut encoded, *value);
        }
        let delta = self.header.record_count;
        self.append(delta, timestamp_ms, key, value, headers.len(), &encoded);
    }

    /// Adds a record of another batch, with the offset and headers that it has.
    ///
    /// The offset must not lie before those of the records that were added already.
    pub fn keep(&mut self, record: &Record) {
        let delta = record.offset - self.header.base_offset;
        let delta = i32::try_from(delta).unwrap_or(i32::MAX);
        let (key, value, headers) = (&record.key, &record.value, &record.headers);
        self.append(
            delta,
            record.timestamp_ms,
            key.as_deref(),
            value.as_deref(),
            headers.len(),
            headers.raw(),
        );
    }

    fn append(
        &mut self,
        offset_delta: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        header_count: usize,
        headers: &[u8],
    ) {
        if self.is_first {
            self.header.base_timestamp = timestamp_ms;
            self.is_first = false;
        }
        if self.header.attributes & LOG_APPEND_TIME_BIT == 0 {
            let so_far = if self.has_max_timestamp { self.header.max_timestamp } else { i64::MIN };
            self.header.max_timestamp = so_far.max(timestamp_ms);
            self.has_max_timestamp = true;
        }
        let timestamp_delta = timestamp_ms.wrapping_sub(self.header.base_timestamp);
        let header_count = i64::try_from(header_count).unwrap_or(i64::MAX);
        let length = 1
            + varint_len(timestamp_delta)
            + varint_len(i64::from(offset_delta))
            + bytes_len(key)
            + bytes_len(value)
            + varint_len(header_count)
            + headers.len();
        let out = &mut self.records;
        put_varint(out, length as i64);
        out.put_u8(0);
        put_varint(out, timestamp_delta);
        put_varint(out, i64::from(offset_delta));
        put_bytes(out, key);
        put_bytes(out, value);
        put_varint(out, header_count);
        out.put_slice(headers);
        self.header.record_count += 1;
        if !self.keeps_last_offset {
            self.header.last_offset_delta = offset_delta;
        }
    }

    /// The finished batch. Fails only if a codec does.
    pub fn build(self) -> io::Result<BytesMut> {
        let header = &self.header;
        let compressed;
        let records: &[u8] = match self.compression {
            Compression::None => &self.records,
            codec => {
                compressed = codec.compress(&self.records)?;
                &compressed
            }
        };
        let mut batch = BytesMut::with_capacity(Header::BYTES + records.len());
        batch.put_i64(header.base_offset);
        batch.put_i32(0);
        batch.put_i32(header.leader_epoch);
        batch.put_i8(MAGIC);
        batch.put_u32(0);
        batch.put_i16(header.attributes);
        batch.put_i32(header.last_offset_delta);
        batch.put_i64(header.base_timestamp);
        batch.put_i64(header.max_timestamp);
        batch.put_i64(header.producer_id);
        batch.put_i16(header.producer_epoch);
        batch.put_i32(header.base_sequence);
        batch.put_i32(header.record_count);
        batch.put_slice(records);
        let too_long = |_| io::Error::other("a batch of more than 2 GiB");
        let length = i32::try_from(batch.len() - (LENGTH_AT + 4)).map_err(too_long)?;
        batch[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
        let crc = crc_fast::crc32_iscsi(&batch[ATTRIBUTES_AT..]);
        batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
        Ok(batch)
    }
}

fn bytes_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint_len(bytes.len() as i64) + bytes.len())
}

fn put_bytes(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i64);
            out.put_slice(bytes);
        }
    }
}
