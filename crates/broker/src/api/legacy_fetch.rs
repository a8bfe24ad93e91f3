//! Message sets for consumers from before Kafka 0.11 (Fetch 0 to 3), made from batches.
//!
//! The only fetches whose records are read into memory before they are sent; what one may take is bounded.

use std::io;

use bytes::{Bytes, BytesMut};
use protocol::ErrorCode;
use protocol::legacy::{self, Magic};

use crate::partition::{Found, chain};

/// Most that is read for one partition. Old clients ask again from where they stand, so a smaller answer costs them a
/// round trip and us nothing.
const MAX_BYTES: usize = 1 << 20;

/// The records from `offset` on; `max_bytes` is the client's limit for the partition.
pub(super) fn to_message_set(
    found: Found,
    magic: Magic,
    offset: i64,
    max_bytes: usize,
    open_bytes: usize,
) -> Result<Bytes, ErrorCode> {
    let batches = load(found).map_err(|error| {
        tracing::error!(%error, "records for an old consumer could not be read");
        ErrorCode::KafkaStorageError
    })?;
    let set = legacy::from_batches(&batches, magic, offset, max_bytes.min(MAX_BYTES), open_bytes);
    set.map(BytesMut::freeze).map_err(|error| {
        tracing::debug!(error = %chain(&error), "records could not be put into an old consumer's format");
        error.code()
    })
}

fn load(found: Found) -> io::Result<Bytes> {
    match found {
        Found::Nothing => Ok(Bytes::new()),
        Found::Memory(slices) => {
            let mut whole = BytesMut::new();
            slices.iter().for_each(|slice| whole.extend_from_slice(slice));
            Ok(whole.freeze())
        }
        Found::File(range) => {
            // A first batch above the bound is read whole: it is a batch, and batches are bounded themselves.
            let mut buffer = vec![0; range.len()];
            range.read_front(&mut buffer)?;
            Ok(buffer.into())
        }
    }
}
