//! Message sets of producers from before Kafka 0.11, turned into batches.

use bytes::Bytes;
use protocol::ErrorCode;

use crate::partition::Refusal;

pub(super) fn to_batches(_records: Bytes, _max_bytes: usize) -> Result<Bytes, Refusal> {
    Err(Refusal::from(ErrorCode::UnsupportedForMessageFormat))
}
