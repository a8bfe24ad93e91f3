//! Message sets for consumers from before Kafka 0.11, made from batches.

use bytes::Bytes;
use protocol::ErrorCode;

use crate::partition::Found;

pub(super) fn to_message_set(_found: Found, _version: i16) -> Result<Bytes, ErrorCode> {
    Err(ErrorCode::UnsupportedForMessageFormat)
}
