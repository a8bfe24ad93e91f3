//! Whether a broker should accept a batch that a producer sent.
//!
//! Kafka looks at every record before it stores a batch, decompressing it if necessary, because a malformed batch
//! that is stored once is handed to every consumer for as long as the topic keeps it. So do we. Measured on two busy
//! cores, checksum included: 4 µs for a batch of 160 records of 100 bytes, 85 µs for 1000 of 1 KB, 0.16 µs for a
//! single record of 1 KB; with lz4 11, 400 and 0.5 µs, with zstd 13, 250 and 0.6 µs (both keep their memory for the
//! next batch of the thread). The kernel takes about 5 µs to receive the first of these and 300 µs the second, so for
//! small records the check is as much work, and the price for not handing one producer's mistake to everybody.
//! `cargo test -p protocol --release -- --ignored --nocapture cost_of_validation` measures again.

use crate::batch::record::Cursor;
use crate::batch::{BatchError, Compression, Header};

/// How many records without a key are named in an error: each costs an entry in the answer, and a producer that forgot
/// its keys forgot all of them.
const NAMED_MAX: usize = 1_000;

/// What the topic and the broker's limits ask of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// Whether every record must have a key, as compaction needs it.
    pub require_keys: bool,
    /// How much memory decompressing may take.
    pub decompressed_max_bytes: usize,
}

/// What the records of a good batch say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The smallest timestamp of a record.
    pub min_timestamp_ms: i64,
    /// The largest. Where the header says something else, it must be corrected ([`crate::batch::set_max_timestamp`]).
    pub max_timestamp_ms: i64,
    /// The record that has it (the first of them), relative to the base offset.
    pub max_timestamp_offset_delta: i32,
}

/// Checks a whole batch as it came from a producer: checksum, header, and every record.
pub fn validate(batch: &[u8], header: &Header, checks: Checks) -> Result<Validated, BatchError> {
    header.check_crc(batch)?;
    check_header(header)?;
    let Some(records) = batch.get(Header::BYTES..header.size_bytes()) else {
        return Err(BatchError::Truncated { wanted: header.size_bytes(), remaining: batch.len() });
    };
    match header.compression()? {
        Compression::None => check_records(records, header, checks),
        codec => {
            let plain = codec.decompress(records, checks.decompressed_max_bytes)?;
            check_records(&plain, header, checks)
        }
    }
}

fn check_header(header: &Header) -> Result<(), BatchError> {
    if header.record_count <= 0 {
        return Err(BatchError::Header("a batch without records"));
    }
    if header.last_offset_delta != header.record_count - 1 {
        return Err(BatchError::Header("the offsets of the batch do not match the number of its records"));
    }
    if header.is_control() {
        return Err(BatchError::Header("only the broker writes control batches"));
    }
    if header.has_producer() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(BatchError::Header("a producer id without epoch or sequence number"));
    }
    if header.is_transactional() && !header.has_producer() {
        return Err(BatchError::Header("a transactional batch without producer id"));
    }
    Ok(())
}

fn check_records(records: &[u8], header: &Header, checks: Checks) -> Result<Validated, BatchError> {
    let mut cursor = Cursor(records);
    let (mut min, mut max, mut max_at) = (i64::MAX, i64::MIN, 0);
    // All of them are told, not only the first: producers fail these records and send the others again.
    let mut keyless = Vec::new();
    for index in 0..header.record_count {
        let record = cursor.record().map_err(|problem| BatchError::Record { index, problem })?;
        if record.offset_delta != index {
            return Err(BatchError::Record { index, problem: "its offset does not follow the one before" });
        }
        Cursor(record.headers)
            .check_headers(record.header_count)
            .map_err(|problem| BatchError::Record { index, problem })?;
        if checks.require_keys && record.key.is_none() && keyless.len() < NAMED_MAX {
            keyless.push(index);
        }
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        min = min.min(timestamp);
        if timestamp > max {
            (max, max_at) = (timestamp, index);
        }
    }
    if !keyless.is_empty() {
        return Err(BatchError::KeysMissing { records: keyless });
    }
    if !cursor.0.is_empty() {
        return Err(BatchError::Header("bytes behind the last record"));
    }
    Ok(Validated { min_timestamp_ms: min, max_timestamp_ms: max, max_timestamp_offset_delta: max_at })
}
