//! Records of a coordinator as batches of its internal topic, there and back.

use bytes::{Bytes, BytesMut};
use protocol::ErrorCode;
use protocol::batch::{Batch, BatchError, Builder, Compression};

use super::machine::{Machine, Record};

/// A batch is closed when it is this long. Below the limit of the topic, so that only a single record can be too
/// large; long enough that compaction and reading are not about headers.
const BATCH_BYTES: usize = 256 * 1024;

/// What one batch may become when it is decompressed. We never compress; this is for topics that Kafka wrote.
const DECOMPRESSED_MAX_BYTES: usize = 64 * 1024 * 1024;

/// One or more batches with these records, one behind the other.
pub(super) fn build(records: &[Record], now_ms: i64) -> Result<Bytes, ErrorCode> {
    let mut all = BytesMut::new();
    let mut builder = Builder::new(Compression::None);
    for record in records {
        if !builder.is_empty() && builder.size_bytes() >= BATCH_BYTES {
            close(&mut all, std::mem::replace(&mut builder, Builder::new(Compression::None)))?;
        }
        builder.push(now_ms, Some(&record.key), record.value.as_deref(), &[]);
    }
    close(&mut all, builder)?;
    Ok(all.freeze())
}

fn close(all: &mut BytesMut, builder: Builder) -> Result<(), ErrorCode> {
    let batch = builder.build().map_err(|error| {
        tracing::error!(%error, "a batch of coordinator state cannot be built");
        ErrorCode::UnknownServerError
    })?;
    if all.is_empty() {
        *all = batch;
    } else {
        all.extend_from_slice(&batch);
    }
    Ok(())
}

/// Shows the records of a batch to a machine.
pub(super) fn replay(batch: &Batch, machine: &mut impl Machine) -> Result<(), BatchError> {
    if batch.header().is_control() {
        return Ok(());
    }
    for record in batch.records(DECOMPRESSED_MAX_BYTES)? {
        let record = record?;
        if let Some(key) = record.key {
            machine.replay(Record { key, value: record.value });
        }
    }
    Ok(())
}
