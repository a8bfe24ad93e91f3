//! Writing primitive types, gathering large values as slices instead of copying them.
//!
//! As in the decoder, what generated code calls everywhere is kept out of line, for the sake of compile time.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::varint::put_unsigned;
use super::{Records, Shape, Slice, Slices, Str};

/// From this size on a value becomes a slice of its own.
///
/// A slice costs an allocation-free reference count, an entry in the socket's gather list and its share of a
/// system call, together about as much as copying a kilobyte.
const SLICE_MIN_BYTES: usize = 1024;

/// What a response of a few fields needs; larger ones grow by doubling.
const INITIAL_CAPACITY_BYTES: usize = 256;

/// The value cannot be sent in this version. It is a bug of the caller, who chose both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field that must not be dropped silently has a value, and the version has no place for it.
    #[error("{field} has a value, but version {version} has no such field")]
    FieldNotInVersion {
        /// Struct and field in the schema's words.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// The field is null, which the version cannot say.
    #[error("{field} is null, which version {version} does not allow")]
    NullNotAllowed {
        /// Struct and field in the schema's words.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A string, array or byte string is longer than its length prefix can say.
    #[error("a value of {length} bytes or elements is too long for its length prefix")]
    TooLong {
        /// The length.
        length: usize,
    },
    /// The message does not exist in this version.
    #[error("{message} has no version {version}")]
    UnknownVersion {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// The message was wanted as bytes, but some of them are not here.
    #[error("the message refers to {length} bytes of records that are not here")]
    Elsewhere {
        /// How many are missing.
        length: usize,
    },
}

#[derive(Debug)]
enum Part {
    Built(BytesMut),
    Shared(Bytes),
    Elsewhere(usize),
}

/// Collects encoded bytes.
///
/// The primitive writers do not return errors: the first failure is remembered and `outcome` reports it at the end
/// of the message, which keeps the generated code small. Nothing of a failed message may be sent.
#[derive(Debug)]
pub struct Encoder {
    parts: Vec<Part>,
    tail: BytesMut,
    flexible: bool,
    version: i16,
    failure: Option<EncodeError>,
    /// Whether the first four bytes wait for the length of all that follows.
    framed: bool,
}

/// What was written before a tagged field was opened.
#[must_use = "a tag that was opened must be closed"]
pub(crate) struct Outer {
    parts: Vec<Part>,
    tail: BytesMut,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::new()
    }
}

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Encoder {
        Encoder {
            parts: Vec::new(),
            tail: BytesMut::with_capacity(INITIAL_CAPACITY_BYTES),
            flexible: false,
            version: 0,
            failure: None,
            framed: false,
        }
    }

    /// An encoder whose result begins with the length of the rest, as frames do.
    pub(crate) fn framed() -> Encoder {
        let mut encoder = Encoder::new();
        encoder.framed = true;
        encoder.tail.put_i32(0);
        encoder
    }

    /// The bytes written so far, in order.
    pub fn finish(mut self) -> Slices {
        let len_bytes = self.len();
        self.seal();
        if self.framed
            && let Some(Part::Built(first)) = self.parts.first_mut()
        {
            // The length is an int32, and no machine holds a response of 2 GiB that the broker's limits let through.
            let length = i32::try_from(len_bytes - size_of::<i32>()).unwrap_or(i32::MAX);
            first[..size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
        }
        let freeze = |part| match part {
            Part::Built(bytes) => Slice::Bytes(bytes.freeze()),
            Part::Shared(bytes) => Slice::Bytes(bytes),
            Part::Elsewhere(len_bytes) => Slice::Elsewhere(len_bytes),
        };
        Slices::new(self.parts.into_iter().map(freeze).collect())
    }

    /// How many bytes were written so far.
    pub fn len(&self) -> usize {
        let part_len = |part: &Part| match part {
            Part::Built(bytes) => bytes.len(),
            Part::Shared(bytes) => bytes.len(),
            Part::Elsewhere(len_bytes) => *len_bytes,
        };
        self.parts.iter().map(part_len).sum::<usize>() + self.tail.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push(Part::Built(self.tail.split()));
        }
    }

    /// Checks the version of a message and learns whether it is flexible.
    pub(crate) fn begin(&mut self, shape: &Shape, version: i16) -> Result<(), EncodeError> {
        if version < shape.lowest || version > shape.highest {
            return Err(EncodeError::UnknownVersion { message: shape.name, version });
        }
        self.flexible = version >= shape.first_flexible;
        self.version = version;
        Ok(())
    }

    /// What became of the message that is now complete.
    pub(crate) fn outcome(&mut self) -> Result<(), EncodeError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn fail(&mut self, error: EncodeError) {
        self.failure.get_or_insert(error);
    }

    #[inline(never)]
    pub(crate) fn absent(&mut self, field: &'static str) {
        self.fail(EncodeError::FieldNotInVersion { field, version: self.version });
    }

    #[inline(never)]
    pub(crate) fn null(&mut self, field: &'static str) {
        self.fail(EncodeError::NullNotAllowed { field, version: self.version });
    }

    pub(crate) fn is_flexible(&self) -> bool {
        self.flexible
    }

    #[inline(never)]
    pub(crate) fn bool(&mut self, value: bool) {
        self.tail.put_u8(u8::from(value));
    }

    #[inline(never)]
    pub(crate) fn i8(&mut self, value: i8) {
        self.tail.put_i8(value);
    }

    /// Appends an int16, the type of keys, versions, and the prefixes of data messages.
    #[inline(never)]
    pub fn i16(&mut self, value: i16) {
        self.tail.put_i16(value);
    }

    #[inline(never)]
    pub(crate) fn u16(&mut self, value: u16) {
        self.tail.put_u16(value);
    }

    #[inline(never)]
    pub(crate) fn i32(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    #[inline(never)]
    pub(crate) fn i64(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    #[inline(never)]
    pub(crate) fn f64(&mut self, value: f64) {
        self.tail.put_f64(value);
    }

    #[inline(never)]
    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.tail.put_slice(value.as_bytes());
    }

    #[inline(never)]
    pub(crate) fn unsigned_varint(&mut self, value: u32) {
        put_unsigned(&mut self.tail, u64::from(value));
    }

    fn length(&mut self, length: Option<usize>) {
        // One less than the largest number, because the compact form stores the length plus one.
        let length = length.map(|length| i32::try_from(length).map_err(|_| EncodeError::TooLong { length }));
        match (length, self.flexible) {
            (Some(Err(error)), _) => self.fail(error),
            (Some(Ok(length)), true) => self.unsigned_varint(length.cast_unsigned() + 1),
            (Some(Ok(length)), false) => self.i32(length),
            (None, true) => self.unsigned_varint(0),
            (None, false) => self.i32(-1),
        }
    }

    #[inline(never)]
    pub(crate) fn string(&mut self, value: &Str) {
        self.nullable_string(Some(value));
    }

    #[inline(never)]
    pub(crate) fn nullable_string(&mut self, value: Option<&Str>) {
        if !self.flexible {
            return self.nullable_inflexible_string(value);
        }
        // Kafka refuses longer strings in either encoding.
        if let Some(length) = value.map(|v| v.len()).filter(|length| *length > i16::MAX as usize) {
            return self.fail(EncodeError::TooLong { length });
        }
        self.length(value.map(|v| v.len()));
        self.tail.put_slice(value.map_or(&[], |v| v.as_bytes()));
    }

    /// A string that keeps the old encoding in flexible versions (the client id in a request header).
    pub(crate) fn nullable_inflexible_string(&mut self, value: Option<&Str>) {
        let Some(value) = value else { return self.i16(-1) };
        match i16::try_from(value.len()) {
            Ok(length) => {
                self.i16(length);
                self.tail.put_slice(value.as_bytes());
            }
            Err(_) => self.fail(EncodeError::TooLong { length: value.len() }),
        }
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self, value: &Bytes) {
        self.nullable_bytes(Some(value));
    }

    #[inline(never)]
    pub(crate) fn nullable_bytes(&mut self, value: Option<&Bytes>) {
        self.length(value.map(Bytes::len));
        match value {
            Some(value) if value.len() >= SLICE_MIN_BYTES => {
                self.seal();
                self.parts.push(Part::Shared(value.clone()));
            }
            Some(value) => self.tail.put_slice(value),
            None => {}
        }
    }

    pub(crate) fn records(&mut self, value: &Records) {
        self.nullable_records(Some(value));
    }

    pub(crate) fn nullable_records(&mut self, value: Option<&Records>) {
        match value {
            None => self.length(None),
            Some(Records::Here(bytes)) => self.bytes(bytes),
            Some(Records::Elsewhere(len_bytes)) => {
                self.length(Some(*len_bytes));
                if *len_bytes > 0 {
                    self.seal();
                    self.parts.push(Part::Elsewhere(*len_bytes));
                }
            }
        }
    }

    #[inline(never)]
    pub(crate) fn count(&mut self, count: usize) {
        self.length(Some(count));
    }

    #[inline(never)]
    pub(crate) fn nullable_count(&mut self, count: Option<usize>) {
        self.length(count);
    }

    pub(crate) fn i8_array(&mut self, values: &[i8]) {
        self.count(values.len());
        values.iter().for_each(|value| self.i8(*value));
    }

    pub(crate) fn i16_array(&mut self, values: &[i16]) {
        self.count(values.len());
        values.iter().for_each(|value| self.i16(*value));
    }

    pub(crate) fn i32_array(&mut self, values: &[i32]) {
        self.nullable_i32_array(Some(values));
    }

    pub(crate) fn nullable_i32_array(&mut self, values: Option<&[i32]>) {
        self.length(values.map(<[i32]>::len));
        values.unwrap_or_default().iter().for_each(|value| self.i32(*value));
    }

    pub(crate) fn i64_array(&mut self, values: &[i64]) {
        self.count(values.len());
        values.iter().for_each(|value| self.i64(*value));
    }

    pub(crate) fn uuid_array(&mut self, values: &[Uuid]) {
        self.nullable_uuid_array(Some(values));
    }

    pub(crate) fn nullable_uuid_array(&mut self, values: Option<&[Uuid]>) {
        self.length(values.map(<[Uuid]>::len));
        values.unwrap_or_default().iter().for_each(|value| self.uuid(*value));
    }

    pub(crate) fn string_array(&mut self, values: &[Str]) {
        self.nullable_string_array(Some(values));
    }

    pub(crate) fn nullable_string_array(&mut self, values: Option<&[Str]>) {
        self.length(values.map(<[Str]>::len));
        values.unwrap_or_default().iter().for_each(|value| self.string(value));
    }

    /// The byte in front of a nullable struct.
    #[inline(never)]
    pub(crate) fn present(&mut self, present: bool) {
        self.i8(if present { 1 } else { -1 });
    }

    /// Ends a struct that has no tagged fields.
    #[inline(never)]
    pub(crate) fn no_tags(&mut self) {
        if self.flexible {
            self.tail.put_u8(0);
        }
    }

    /// Sets aside what was written, because the length of a tagged field goes in front of it.
    #[inline(never)]
    pub(crate) fn open_tag(&mut self) -> Outer {
        Outer { parts: std::mem::take(&mut self.parts), tail: std::mem::take(&mut self.tail) }
    }

    /// Writes tag and length, and behind them what was written since the tag was opened.
    #[inline(never)]
    pub(crate) fn close_tag(&mut self, tag: u32, outer: Outer) {
        let length = self.len();
        self.seal();
        let content = std::mem::replace(&mut self.parts, outer.parts);
        self.tail = outer.tail;
        self.unsigned_varint(tag);
        match u32::try_from(length) {
            Ok(length) => self.unsigned_varint(length),
            Err(_) => self.fail(EncodeError::TooLong { length }),
        }
        for part in content {
            match part {
                Part::Built(bytes) => self.tail.extend_from_slice(&bytes),
                Part::Shared(_) | Part::Elsewhere(_) => {
                    self.seal();
                    self.parts.push(part);
                }
            }
        }
    }
}
