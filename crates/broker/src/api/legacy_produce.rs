//! Message sets of producers from before Kafka 0.11 (Produce 0 to 2), turned into batches: the log holds nothing else.

use bytes::Bytes;
use protocol::legacy;

use crate::partition::{Refusal, chain};

/// One batch of all messages of a set; `open_bytes` bounds what they may decompress to.
pub(super) fn to_batch(set: &Bytes, open_bytes: usize) -> Result<Bytes, Refusal> {
    match legacy::to_batch(set, open_bytes) {
        Ok(batch) => Ok(batch.freeze()),
        Err(error) => Err(Refusal::new(error.code(), chain(&error))),
    }
}
