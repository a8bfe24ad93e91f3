//! The outermost layer: a length, a header, a body.
//!
//! A connection reads four bytes, asks [`length`] whether it wants that many more, reads them into one buffer and
//! hands it to [`RequestHeader::decode`], which leaves the decoder at the body. Answers start with
//! [`response`], which leaves the encoder at the body.

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, EncodeError, Encoder, Str};
use crate::messages::{ApiKey, request_header, response_header};

/// The length prefix of a frame.
pub const LENGTH_BYTES: usize = 4;

/// The shortest request: key, version, correlation id and an absent client id.
const SHORTEST_REQUEST_BYTES: usize = 10;

/// The shortest response: a correlation id.
const SHORTEST_RESPONSE_BYTES: usize = 4;

/// Why a connection cannot go on with the frame that it is about to read, or just read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The prefix is negative, as random bytes often are.
    #[error("a frame cannot be {0} bytes long")]
    NegativeLength(i32),
    /// The frame is longer than the reader accepts.
    #[error("a frame of {length} bytes is above the limit of {limit} bytes")]
    TooLong {
        /// What the prefix says.
        length: usize,
        /// What the reader accepts.
        limit: usize,
    },
    /// The frame cannot even hold a header.
    #[error("a frame of {0} bytes is too short for a header")]
    TooShort(usize),
    /// The header is broken.
    #[error("the header of the frame is malformed")]
    Header(#[source] DecodeError),
    /// The request asks for something that Kafka 4.3 does not have.
    #[error("API key {code} (version {version}) is unknown or retired")]
    UnknownKey {
        /// The number in the header.
        code: i16,
        /// The version in the header.
        version: i16,
        /// To answer with, where the broker wants to answer.
        correlation_id: i32,
    },
}

/// How many bytes of a request follow its length prefix, if that many are acceptable.
pub fn request_length(prefix: [u8; LENGTH_BYTES], limit_bytes: usize) -> Result<usize, FrameError> {
    length(prefix, SHORTEST_REQUEST_BYTES, limit_bytes)
}

/// How many bytes of a response follow its length prefix, if that many are acceptable.
pub fn response_length(prefix: [u8; LENGTH_BYTES], limit_bytes: usize) -> Result<usize, FrameError> {
    length(prefix, SHORTEST_RESPONSE_BYTES, limit_bytes)
}

fn length(prefix: [u8; LENGTH_BYTES], shortest: usize, limit: usize) -> Result<usize, FrameError> {
    let signed = i32::from_be_bytes(prefix);
    let length = usize::try_from(signed).map_err(|_| FrameError::NegativeLength(signed))?;
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    if length < shortest {
        return Err(FrameError::TooShort(length));
    }
    Ok(length)
}

/// What stands in front of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// What is asked for.
    pub key: ApiKey,
    /// In which version; it may be one that nobody serves.
    pub version: i16,
    /// The response repeats it.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Str>,
}

impl RequestHeader {
    /// Reads the header of a request from a frame without its length prefix, and leaves the decoder at the body.
    ///
    /// A version that we do not know passes: the caller must be able to answer "unsupported version", so it checks
    /// [`ApiKey::served_versions`] before it decodes the body. Of such a request only what all header versions
    /// share is read.
    pub fn decode(frame: Bytes) -> Result<(RequestHeader, Decoder), FrameError> {
        let mut peek = Decoder::new(frame.clone());
        let fixed = |peek: &mut Decoder| Ok((peek.i16()?, peek.i16()?, peek.i32()?));
        let (code, version, correlation_id) = fixed(&mut peek).map_err(FrameError::Header)?;
        let key =
            ApiKey::try_from(code).map_err(|_| FrameError::UnknownKey { code, version, correlation_id })?;
        let known = key.known_versions().contains(version);
        let header_version = if known { key.request_header_version(version) } else { 1 };
        let mut input = Decoder::new(frame);
        let header =
            request_header::RequestHeader::decode(&mut input, header_version).map_err(FrameError::Header)?;
        Ok((RequestHeader { key, version, correlation_id, client_id: header.client_id }, input))
    }
}

/// Length of [`request_start`].
pub const REQUEST_START_BYTES: usize = 4;

/// The bytes with which a request of this key and version begins, behind its length.
pub fn request_start(key: ApiKey, version: i16) -> [u8; REQUEST_START_BYTES] {
    let ([a, b], [c, d]) = (key.code().to_be_bytes(), version.to_be_bytes());
    [a, b, c, d]
}

/// Starts a response: length prefix and header are written, the body follows.
pub fn response(key: ApiKey, version: i16, correlation_id: i32) -> Result<Encoder, EncodeError> {
    let mut out = Encoder::framed();
    let header = response_header::ResponseHeader { correlation_id };
    header.encode(&mut out, key.response_header_version(version))?;
    Ok(out)
}

/// Starts a request: length prefix and header are written, the body follows.
pub fn request(header: &RequestHeader) -> Result<Encoder, EncodeError> {
    let RequestHeader { key, version, correlation_id, client_id } = header;
    let mut out = Encoder::framed();
    let raw = request_header::RequestHeader {
        request_api_key: key.code(),
        request_api_version: *version,
        correlation_id: *correlation_id,
        client_id: client_id.clone(),
    };
    raw.encode(&mut out, key.request_header_version(*version))?;
    Ok(out)
}

/// Reads the header of a response to a request of this key and version from a frame without its length prefix:
/// the correlation id, and the decoder at the body.
pub fn decode_response(key: ApiKey, version: i16, frame: Bytes) -> Result<(i32, Decoder), FrameError> {
    let mut input = Decoder::new(frame);
    let header_version = key.response_header_version(version);
    let header =
        response_header::ResponseHeader::decode(&mut input, header_version).map_err(FrameError::Header)?;
    Ok((header.correlation_id, input))
}
