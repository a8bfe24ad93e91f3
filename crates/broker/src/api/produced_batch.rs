//! What a producer sent, checked, and as its topic stores it: usually the same bytes.

use bytes::{Bytes, BytesMut};
use protocol::ErrorCode;
use protocol::batch::{self, Batch, BatchError, Builder, Checks, Compression, Header};

use crate::config::TopicConfig;
use crate::context::Context;
use crate::partition::Refusal;

/// The first version whose records are batches (magic 2).
const FIRST_WITH_BATCHES: i16 = 3;
/// The first version that may carry zstd.
const FIRST_WITH_ZSTD: i16 = 7;

/// Checks the records of one partition and makes of them what the log shall hold.
pub(super) fn to_store(ctx: &Context, settings: &TopicConfig, records: Bytes) -> Result<Bytes, Refusal> {
    let open_bytes = ctx.broker.config.limits.max_decompressed_bytes;
    let batches = if ctx.version < FIRST_WITH_BATCHES {
        super::legacy_produce::to_batch(&records, open_bytes)?
    } else {
        validate(ctx, settings, records)?
    };
    match settings.compression {
        None => Ok(batches),
        Some(codec) => recompressed(batches, codec, open_bytes),
    }
}

/// A valid batch as a topic with a codec of its own stores it: the same records, compressed anew unless they are already.
/// The one case in which a producer's bytes are not the bytes in the log.
fn recompressed(bytes: Bytes, codec: Compression, open_bytes: usize) -> Result<Bytes, Refusal> {
    let bad = |error: BatchError| Refusal::new(error.code(), crate::partition::chain(&error));
    let batch = Batch::parse(&bytes).map_err(bad)?;
    if batch.header().compression().map_err(bad)? == codec {
        return Ok(bytes);
    }
    let mut builder = Builder::replacing(batch.header(), codec);
    for record in batch.records(open_bytes).map_err(bad)? {
        builder.keep(&record.map_err(bad)?);
    }
    let failed = |error| Refusal::new(ErrorCode::UnknownServerError, format!("compressing failed: {error}"));
    builder.build().map(BytesMut::freeze).map_err(failed)
}

/// Checks what a producer sent; the same bytes, unless a header claims a wrong largest timestamp.
fn validate(ctx: &Context, settings: &TopicConfig, records: Bytes) -> Result<Bytes, Refusal> {
    let invalid = |text: &str| Err(Refusal::new(ErrorCode::InvalidRecord, text));
    let bad = |error: BatchError| {
        let records = match &error {
            BatchError::Record { index, .. } => vec![*index],
            BatchError::KeysMissing { records } => records.clone(),
            _ => Vec::new(),
        };
        Refusal { records, ..Refusal::new(error.code(), crate::partition::chain(&error)) }
    };
    let batch = Batch::parse(&records).map_err(bad)?;
    if batch.bytes().len() != records.len() {
        return invalid("a produce request carries exactly one batch for a partition");
    }
    let header: &Header = batch.header();
    if header.is_transactional() {
        return Err(Refusal::new(ErrorCode::InvalidTxnState, "this broker has no transactions yet"));
    }
    if header.compression().map_err(bad)? == Compression::Zstd && ctx.version < FIRST_WITH_ZSTD {
        return Err(Refusal::from(ErrorCode::UnsupportedCompressionType));
    }
    let checks = Checks {
        require_keys: settings.compact,
        decompressed_max_bytes: ctx.broker.config.limits.max_decompressed_bytes,
    };
    let validated = batch::validate(&records, header, checks).map_err(bad)?;
    if validated.max_timestamp_ms == header.max_timestamp || settings.log_append_time {
        return Ok(records);
    }
    // Rare: a producer that does not know its own records. Lookups by time depend on the header.
    let mut copy = BytesMut::from(&records[..]);
    batch::set_max_timestamp(&mut copy, validated.max_timestamp_ms);
    Ok(copy.freeze())
}
