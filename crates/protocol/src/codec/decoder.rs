//! Reading primitive types from bytes that nobody vouches for.
//!
//! Two bounds hold whatever the bytes say. A length or count is accepted only if the bytes that remain can hold that
//! many of the smallest possible elements, and the vectors of one message may together take [`MEMORY_PER_BYTE`]
//! times its length (plus a little, and [`MEMORY_CEILING_BYTES`] at most) and no more. Strings, bytes and records are references into the input.
//! Nesting is bounded by the schema, which has no recursive type (the generator checks that).
//!
//! The readers that the generated code calls thousands of times over are kept out of line. A call costs a request a
//! nanosecond or two for each field; copies of them in every message cost a fifth of the crate's compile time.

use bytes::Bytes;
use uuid::Uuid;

use super::{Records, Shape, Str};

/// How many bytes of vectors a byte of input may turn into.
///
/// The densest honest messages are lists of short names: a topic called `a` in a Metadata request takes 19 bytes on
/// the wire and about 90 in memory; a partition in a Fetch request takes 30 and about 80. A hostile list of empty
/// strings takes 1 and 32. Sixteen leaves every honest message alone and stops the last.
const MEMORY_PER_BYTE: usize = 16;

/// Memory that even the smallest message may use, so that the ratio above only matters for large ones.
const MEMORY_FLOOR_BYTES: usize = 64 * 1024;

/// Memory that the largest message may use: a request for everything about each of the 200 000 partitions that a broker
/// has by default takes a third of it. Records are not in vectors.
const MEMORY_CEILING_BYTES: usize = 64 * 1024 * 1024;

/// The longest string that Kafka itself accepts; the old encoding cannot express more.
const STRING_MAX_BYTES: usize = i16::MAX as usize;

/// Why bytes are not the message that they should be. Positions count from the start of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends inside a value.
    #[error("wanted {wanted} bytes at position {at} but {remaining} remain")]
    Truncated {
        /// Where the value starts.
        at: usize,
        /// How long it is.
        wanted: usize,
        /// How much there is.
        remaining: usize,
    },
    /// An array claims more elements than the remaining bytes can hold.
    #[error("{count} elements at position {at} cannot fit into the {remaining} bytes that remain")]
    CountTooLarge {
        /// Where the first element would start.
        at: usize,
        /// The claim.
        count: usize,
        /// How many bytes remain.
        remaining: usize,
    },
    /// The elements would fill far more memory than their bytes justify.
    #[error("{count} elements at position {at} need more memory than a message of {length} bytes may use")]
    TooMuchMemory {
        /// Where the first element would start.
        at: usize,
        /// How many elements there are.
        count: usize,
        /// The length of the input.
        length: usize,
    },
    /// Null stands where the version allows none.
    #[error("null at position {at}, where this version allows none")]
    Null {
        /// Where the value ends.
        at: usize,
    },
    /// A string is longer than the protocol allows.
    #[error("a string of {length} bytes at position {at} (at most {STRING_MAX_BYTES} are allowed)")]
    StringTooLong {
        /// Where the text starts.
        at: usize,
        /// How long it claims to be.
        length: usize,
    },
    /// A string is not UTF-8.
    #[error("the string at position {at} is not UTF-8")]
    NotUtf8 {
        /// Where the text starts.
        at: usize,
    },
    /// An integer of variable length does not end in time.
    #[error("the variable-length integer at position {at} is too long")]
    VarintTooLong {
        /// Where the integer starts.
        at: usize,
    },
    /// The message does not exist in this version.
    #[error("{message} has no version {version}")]
    UnknownVersion {
        /// The message.
        message: &'static str,
        /// The version.
        version: i16,
    },
}

/// A position in a message that is being read.
#[derive(Debug)]
pub struct Decoder {
    input: Bytes,
    at: usize,
    /// Reading stops here: the end of the input or of the tagged field being read.
    end: usize,
    flexible: bool,
    memory_left_bytes: usize,
}

/// The outer end, to be restored when a tagged field ends.
#[derive(Debug)]
#[must_use = "a tag that was opened must be closed"]
pub(crate) struct OuterEnd(usize);

type Decoded<T> = Result<T, DecodeError>;

impl Decoder {
    /// A decoder at the start of `input`.
    pub fn new(input: Bytes) -> Decoder {
        let justified = input.len().saturating_mul(MEMORY_PER_BYTE).saturating_add(MEMORY_FLOOR_BYTES);
        let memory_left_bytes = justified.min(MEMORY_CEILING_BYTES);
        Decoder { at: 0, end: input.len(), flexible: false, memory_left_bytes, input }
    }

    /// How many bytes lie ahead.
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Everything that lies ahead, without copying it.
    pub fn rest(&self) -> Bytes {
        self.input.slice(self.at..self.end)
    }

    /// Checks the version of a message and learns whether it is flexible.
    pub(crate) fn begin(&mut self, shape: &Shape, version: i16) -> Decoded<()> {
        if version < shape.lowest || version > shape.highest {
            return Err(DecodeError::UnknownVersion { message: shape.name, version });
        }
        self.flexible = version >= shape.first_flexible;
        Ok(())
    }

    fn take(&mut self, wanted: usize) -> Decoded<&[u8]> {
        let at = self.at;
        if wanted > self.end - at {
            return Err(DecodeError::Truncated { at, wanted, remaining: self.end - at });
        }
        self.at = at + wanted;
        Ok(&self.input[at..at + wanted])
    }

    fn fixed<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let at = self.at;
        let remaining = self.end - at;
        match self.input[at..self.end].first_chunk::<N>() {
            Some(bytes) => {
                self.at = at + N;
                Ok(*bytes)
            }
            None => Err(DecodeError::Truncated { at, wanted: N, remaining }),
        }
    }

    #[inline(never)]
    pub(crate) fn bool(&mut self) -> Decoded<bool> {
        Ok(self.fixed::<1>()? != [0])
    }

    #[inline(never)]
    pub(crate) fn i8(&mut self) -> Decoded<i8> {
        Ok(i8::from_be_bytes(self.fixed()?))
    }

    /// Reads an int16, the type of keys, versions, and the prefixes of data messages.
    #[inline(never)]
    pub fn i16(&mut self) -> Decoded<i16> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    #[inline(never)]
    pub(crate) fn u16(&mut self) -> Decoded<u16> {
        Ok(u16::from_be_bytes(self.fixed()?))
    }

    /// Reads an int32, the type of correlation ids and sizes.
    #[inline(never)]
    pub fn i32(&mut self) -> Decoded<i32> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    #[inline(never)]
    pub(crate) fn i64(&mut self) -> Decoded<i64> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    #[inline(never)]
    pub(crate) fn f64(&mut self) -> Decoded<f64> {
        Ok(f64::from_be_bytes(self.fixed()?))
    }

    #[inline(never)]
    pub(crate) fn uuid(&mut self) -> Decoded<Uuid> {
        Ok(Uuid::from_bytes(self.fixed()?))
    }

    #[inline(never)]
    pub(crate) fn unsigned_varint(&mut self) -> Decoded<u32> {
        let at = self.at;
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintTooLong { at })
    }

    /// A length or count in whichever encoding the version uses; any negative number is null, as in Kafka.
    fn length(&mut self) -> Decoded<Option<usize>> {
        if self.flexible {
            return Ok(self.unsigned_varint()?.checked_sub(1).map(|length| length as usize));
        }
        Ok(usize::try_from(self.i32()?).ok())
    }

    fn not_null<T>(&self, value: Option<T>) -> Decoded<T> {
        value.ok_or(DecodeError::Null { at: self.at })
    }

    #[inline(never)]
    pub(crate) fn string(&mut self) -> Decoded<Str> {
        let value = self.nullable_string()?;
        self.not_null(value)
    }

    #[inline(never)]
    pub(crate) fn nullable_string(&mut self) -> Decoded<Option<Str>> {
        if !self.flexible {
            return self.nullable_inflexible_string();
        }
        let length = self.length()?;
        self.text(length)
    }

    /// A string that keeps the old encoding in flexible versions (the client id in a request header).
    pub(crate) fn nullable_inflexible_string(&mut self) -> Decoded<Option<Str>> {
        let length = usize::try_from(self.i16()?).ok();
        self.text(length)
    }

    fn text(&mut self, length: Option<usize>) -> Decoded<Option<Str>> {
        let Some(length) = length else { return Ok(None) };
        let at = self.at;
        if length > STRING_MAX_BYTES {
            return Err(DecodeError::StringTooLong { at, length });
        }
        self.take(length)?;
        let text = Str::from_utf8(self.input.slice(at..at + length));
        text.map(Some).ok_or(DecodeError::NotUtf8 { at })
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self) -> Decoded<Bytes> {
        let value = self.nullable_bytes()?;
        self.not_null(value)
    }

    #[inline(never)]
    pub(crate) fn nullable_bytes(&mut self) -> Decoded<Option<Bytes>> {
        let Some(length) = self.length()? else { return Ok(None) };
        let at = self.at;
        self.take(length)?;
        Ok(Some(self.input.slice(at..at + length)))
    }

    pub(crate) fn records(&mut self) -> Decoded<Records> {
        Ok(Records::Here(self.bytes()?))
    }

    pub(crate) fn nullable_records(&mut self) -> Decoded<Option<Records>> {
        Ok(self.nullable_bytes()?.map(Records::Here))
    }

    /// The count of an array whose elements take at least `smallest` bytes each on the wire and `memory` bytes each
    /// in a vector.
    #[inline(never)]
    pub(crate) fn count(&mut self, smallest: usize, memory: usize) -> Decoded<usize> {
        let count = self.nullable_count(smallest, memory)?;
        self.not_null(count)
    }

    #[inline(never)]
    pub(crate) fn nullable_count(&mut self, smallest: usize, memory: usize) -> Decoded<Option<usize>> {
        let Some(count) = self.length()? else { return Ok(None) };
        let at = self.at;
        let remaining = self.remaining();
        if count > remaining / smallest {
            return Err(DecodeError::CountTooLarge { at, count, remaining });
        }
        let left = count.checked_mul(memory).and_then(|bytes| self.memory_left_bytes.checked_sub(bytes));
        self.memory_left_bytes =
            left.ok_or(DecodeError::TooMuchMemory { at, count, length: self.input.len() })?;
        Ok(Some(count))
    }

    pub(crate) fn i8_array(&mut self) -> Decoded<Vec<i8>> {
        let count = self.count(1, 1)?;
        Ok(self.take(count)?.iter().map(|byte| byte.cast_signed()).collect())
    }

    pub(crate) fn i16_array(&mut self) -> Decoded<Vec<i16>> {
        let count = self.count(2, 2)?;
        let (numbers, _) = self.take(count * 2)?.as_chunks::<2>();
        Ok(numbers.iter().map(|bytes| i16::from_be_bytes(*bytes)).collect())
    }

    pub(crate) fn i32_array(&mut self) -> Decoded<Vec<i32>> {
        let array = self.nullable_i32_array()?;
        self.not_null(array)
    }

    pub(crate) fn nullable_i32_array(&mut self) -> Decoded<Option<Vec<i32>>> {
        let Some(count) = self.nullable_count(4, 4)? else { return Ok(None) };
        let (numbers, _) = self.take(count * 4)?.as_chunks::<4>();
        Ok(Some(numbers.iter().map(|bytes| i32::from_be_bytes(*bytes)).collect()))
    }

    pub(crate) fn i64_array(&mut self) -> Decoded<Vec<i64>> {
        let count = self.count(8, 8)?;
        let (numbers, _) = self.take(count * 8)?.as_chunks::<8>();
        Ok(numbers.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect())
    }

    pub(crate) fn uuid_array(&mut self) -> Decoded<Vec<Uuid>> {
        let array = self.nullable_uuid_array()?;
        self.not_null(array)
    }

    pub(crate) fn nullable_uuid_array(&mut self) -> Decoded<Option<Vec<Uuid>>> {
        let Some(count) = self.nullable_count(16, 16)? else { return Ok(None) };
        let (ids, _) = self.take(count * 16)?.as_chunks::<16>();
        Ok(Some(ids.iter().map(|bytes| Uuid::from_bytes(*bytes)).collect()))
    }

    pub(crate) fn string_array(&mut self) -> Decoded<Vec<Str>> {
        let array = self.nullable_string_array()?;
        self.not_null(array)
    }

    pub(crate) fn nullable_string_array(&mut self) -> Decoded<Option<Vec<Str>>> {
        let smallest = if self.flexible { 1 } else { 2 };
        let Some(count) = self.nullable_count(smallest, size_of::<Str>())? else { return Ok(None) };
        let mut strings = Vec::with_capacity(count);
        for _ in 0..count {
            strings.push(self.string()?);
        }
        Ok(Some(strings))
    }

    /// The byte in front of a nullable struct.
    #[inline(never)]
    pub(crate) fn present(&mut self) -> Decoded<bool> {
        Ok(self.i8()? >= 0)
    }

    /// How many tagged fields follow; none in a version that has no tagged fields.
    #[inline(never)]
    pub(crate) fn tags(&mut self) -> Decoded<u32> {
        if self.flexible { self.unsigned_varint() } else { Ok(0) }
    }

    /// Reads the tag of a field and confines reading to its bytes.
    #[inline(never)]
    pub(crate) fn open_tag(&mut self) -> Decoded<(u32, OuterEnd)> {
        let tag = self.unsigned_varint()?;
        let size = self.unsigned_varint()? as usize;
        let remaining = self.remaining();
        if size > remaining {
            return Err(DecodeError::Truncated { at: self.at, wanted: size, remaining });
        }
        let outer = OuterEnd(self.end);
        self.end = self.at + size;
        Ok((tag, outer))
    }

    /// Leaves a tagged field, passing over what was not read of it.
    #[inline(never)]
    pub(crate) fn close_tag(&mut self, outer: OuterEnd) {
        self.at = self.end;
        self.end = outer.0;
    }

    /// Passes over all tagged fields of a struct that knows none.
    #[inline(never)]
    pub(crate) fn skip_tags(&mut self) -> Decoded<()> {
        for _ in 0..self.tags()? {
            let (_, outer) = self.open_tag()?;
            self.close_tag(outer);
        }
        Ok(())
    }
}
