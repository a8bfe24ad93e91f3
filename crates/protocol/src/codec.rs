//! The primitive types of the protocol, and the bounds that make decoding safe.
//!
//! [`Decoder`] reads from a `Bytes`, [`Encoder`] collects [`Slices`]. Both are told by the message whether its
//! version is flexible and then choose between the old and the compact encoding themselves, so that generated code
//! need not.

mod decoder;
mod encoder;
mod slices;
mod text;
mod varint;

pub use decoder::{DecodeError, Decoder};
pub use encoder::{EncodeError, Encoder};
pub use slices::{Records, Slice, Slices};
pub use text::Str;
pub(crate) use varint::{put_varint, varint_len};

use bytes::Bytes;

use crate::ApiKey;

/// What decoder and encoder must know of a message before they meet its first field.
#[derive(Debug)]
pub struct Shape {
    /// The message's name in the schema.
    pub name: &'static str,
    /// The lowest version that can be decoded and encoded.
    pub lowest: i16,
    /// The highest version that can be decoded and encoded.
    pub highest: i16,
    /// The first flexible version, `i16::MAX` if there is none.
    pub first_flexible: i16,
}

/// A whole message: a request, a response, a header, or data.
pub trait Message: Sized {
    /// Name and versions.
    const SHAPE: &'static Shape;

    /// Reads the message from where `input` stands.
    fn decode(input: &mut Decoder, version: i16) -> Result<Self, DecodeError>;

    /// Appends the message to `out`; refuses values that `version` cannot carry.
    fn encode(&self, out: &mut Encoder, version: i16) -> Result<(), EncodeError>;

    /// Tells the client how long its connection rests; nothing where the message has no field for it.
    fn set_throttle_time_ms(&mut self, _throttle_time_ms: i32) {}

    /// Reads a message that its own version precedes, as clients and coordinators store data messages.
    fn decode_prefixed(bytes: Bytes) -> Result<(i16, Self), DecodeError> {
        let mut input = Decoder::new(bytes);
        let version = input.i16()?;
        Ok((version, Self::decode(&mut input, version)?))
    }

    /// The message with its version in front.
    fn encode_prefixed(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut out = Encoder::new();
        out.i16(version);
        self.encode(&mut out, version)?;
        let slices = out.finish();
        let length = slices.len();
        slices.into_bytes().ok_or(EncodeError::Elsewhere { length })
    }
}

/// A request, which names its key and the type of its response.
pub trait Request: Message {
    /// The API that is called.
    const KEY: ApiKey;
    /// What the broker answers.
    type Response: Message;
}

/// Why a message could not be decoded and encoded again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecodeError {
    /// The bytes are no such message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The message, once decoded, does not fit its own version.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
