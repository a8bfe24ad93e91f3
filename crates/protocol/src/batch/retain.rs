//! What compaction leaves of a batch.

use bytes::BytesMut;

use crate::batch::{Batch, BatchError, Builder, Compression, Record};

/// A batch after some of its records were dropped.
#[derive(Debug)]
pub enum Retained {
    /// Nothing was dropped and nothing changed: the batch may be copied as it is.
    All,
    /// The batch with what is left, possibly no record at all. Offsets, producer and sequence numbers are those of
    /// the original, so an empty one still says how far its producer got.
    Part(BytesMut),
}

/// Drops the records that `keep` refuses.
///
/// `delete_horizon_ms` is when tombstones in this batch may go. It is written into a batch that has none yet.
pub fn retain(
    batch: &Batch,
    decompressed_max_bytes: usize,
    delete_horizon_ms: Option<i64>,
    mut keep: impl FnMut(&Record) -> bool,
) -> Result<Retained, BatchError> {
    let header = batch.header();
    let mut kept = Vec::new();
    for record in batch.records(decompressed_max_bytes)? {
        let record = record?;
        if keep(&record) {
            kept.push(record);
        }
    }
    let horizon = delete_horizon_ms.filter(|_| header.delete_horizon_ms().is_none());
    if usize::try_from(header.record_count) == Ok(kept.len()) && horizon.is_none() {
        return Ok(Retained::All);
    }
    // Nothing compresses to something in most codecs.
    let codec = if kept.is_empty() { Compression::None } else { header.compression()? };
    let mut builder = Builder::replacing(header, codec);
    if let Some(horizon_ms) = horizon {
        builder = builder.delete_horizon(horizon_ms);
    }
    kept.iter().for_each(|record| builder.keep(record));
    let batch = builder.build().map_err(|source| BatchError::Compress { codec, source })?;
    Ok(Retained::Part(batch))
}
