//! Records inside a batch.
//!
//! A record is: length, attributes (unused), timestamp delta, offset delta, key, value, headers; every number a
//! signed varint, lengths of -1 meaning null.

use bytes::Bytes;

use crate::batch::{BatchError, Header, TimestampKind};

/// A record, borrowing from its batch (or from what the batch was decompressed to).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its position in the partition.
    pub offset: i64,
    /// In milliseconds since the epoch, by whichever clock the batch says.
    pub timestamp_ms: i64,
    /// What decides the partition and what compaction keeps the last of.
    pub key: Option<Bytes>,
    /// Null in a tombstone.
    pub value: Option<Bytes>,
    /// Names and values beside the record.
    pub headers: RecordHeaders,
}

/// The headers of a record, read when asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeaders {
    count: i32,
    bytes: Bytes,
}

impl RecordHeaders {
    /// How many headers the record says it has.
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count <= 0
    }

    /// Names and values in order, or nothing if they are malformed.
    pub fn to_vec(&self) -> Option<Vec<(Bytes, Option<Bytes>)>> {
        let mut cursor = Cursor(&self.bytes);
        let mut headers = Vec::new();
        for _ in 0..self.count {
            let name = cursor.nullable_bytes().ok()??;
            let value = cursor.nullable_bytes().ok()?;
            headers.push((self.bytes.slice_ref(name), value.map(|v| self.bytes.slice_ref(v))));
        }
        Some(headers)
    }

    /// The headers as they stand in the record, behind their count.
    pub(super) fn raw(&self) -> &[u8] {
        &self.bytes
    }
}

/// The records of a batch in order; ends after the first malformed one.
#[derive(Clone, Debug)]
pub struct RecordIter {
    header: Header,
    rest: Bytes,
    index: i32,
}

impl RecordIter {
    pub(super) fn new(header: Header, records: Bytes) -> RecordIter {
        RecordIter { header, rest: records, index: 0 }
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.header.record_count {
            return None;
        }
        let index = self.index;
        let mut cursor = Cursor(&self.rest);
        let raw = match cursor.record() {
            Ok(raw) => raw,
            Err(problem) => {
                self.index = self.header.record_count;
                return Some(Err(BatchError::Record { index, problem }));
            }
        };
        let header = &self.header;
        let record = Record {
            offset: header.base_offset.wrapping_add(i64::from(raw.offset_delta)),
            timestamp_ms: match header.timestamp_kind() {
                TimestampKind::Create => header.base_timestamp.wrapping_add(raw.timestamp_delta),
                TimestampKind::LogAppend => header.max_timestamp,
            },
            key: raw.key.map(|key| self.rest.slice_ref(key)),
            value: raw.value.map(|value| self.rest.slice_ref(value)),
            headers: RecordHeaders { count: raw.header_count, bytes: self.rest.slice_ref(raw.headers) },
        };
        let left = cursor.0.len();
        self.rest = self.rest.slice(self.rest.len() - left..);
        self.index += 1;
        Some(Ok(record))
    }
}

/// A record as it stands in the batch.
pub(super) struct RawRecord<'a> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) header_count: i32,
    pub(super) headers: &'a [u8],
}

/// The bytes of records that were not read yet.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

type Step<T> = Result<T, &'static str>;

const ENDS_EARLY: &str = "ends before its time";
const VARINT_TOO_LONG: &str = "a variable-length integer does not end";
const NEGATIVE_LENGTH: &str = "a negative length";

impl<'a> Cursor<'a> {
    /// The next record. Its headers are passed over, not read.
    pub(super) fn record(&mut self) -> Step<RawRecord<'a>> {
        let length = usize::try_from(self.varint()?).map_err(|_| NEGATIVE_LENGTH)?;
        let mut body = Cursor(self.take(length)?);
        body.take(1)?;
        let timestamp_delta = body.varint()?;
        let offset_delta = i32::try_from(body.varint()?).map_err(|_| "an offset delta out of range")?;
        let key = body.nullable_bytes()?;
        let value = body.nullable_bytes()?;
        let header_count = i32::try_from(body.varint()?).map_err(|_| "a header count out of range")?;
        if header_count < 0 {
            return Err("a negative number of headers");
        }
        Ok(RawRecord { timestamp_delta, offset_delta, key, value, header_count, headers: body.0 })
    }

    /// Reads the headers of a record and demands that they end where the record does.
    pub(super) fn check_headers(mut self, count: i32) -> Step<()> {
        for _ in 0..count {
            let Some(_) = self.nullable_bytes()? else { return Err("a header without a name") };
            self.nullable_bytes()?;
        }
        if self.0.is_empty() { Ok(()) } else { Err("is longer than its fields") }
    }

    fn take(&mut self, length: usize) -> Step<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ENDS_EARLY)?;
        self.0 = rest;
        Ok(taken)
    }

    fn nullable_bytes(&mut self) -> Step<Option<&'a [u8]>> {
        match self.varint()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| NEGATIVE_LENGTH)?;
                self.take(length).map(Some)
            }
        }
    }

    fn varint(&mut self) -> Step<i64> {
        // Nearly all numbers in records take one or two bytes.
        if let [byte @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(unzigzag(u64::from(*byte)));
        }
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(ENDS_EARLY)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(unzigzag(value));
            }
        }
        Err(VARINT_TOO_LONG)
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
