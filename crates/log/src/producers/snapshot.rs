//! Producers in a file, in Kafka's format, so that a start need not read the whole log.
//!
//! ```text
//! version i16 = 1 · crc32c u32 of all that follows · count i32 · count × (
//!   producer id i64 · epoch i16 · last sequence i32 · last offset i64 · offset delta i32 ·
//!   timestamp i64 · coordinator epoch i32 · first offset of the open transaction i64 )
//! ```
//!
//! Kafka writes the last batch of each producer only, and after a restart refuses a producer that sends an earlier one
//! again. Here every remembered batch has an entry, oldest first; who reads them as Kafka does, one entry for each
//! producer, keeps the last.

use bytes::{Buf, BufMut};
use crc_fast::{CrcAlgorithm, checksum};

use super::{Appended, Producer, Producers};

const VERSION: i16 = 1;
const HEADER_BYTES: usize = 6;
const ENTRY_BYTES: usize = 46;

/// The content of a snapshot file.
pub(crate) fn encode(producers: &Producers) -> Vec<u8> {
    let entries = producers.iter().map(|(_, producer)| producer.batches().len().max(1)).sum::<usize>();
    let mut body = Vec::with_capacity(4 + entries * ENTRY_BYTES);
    body.put_i32(entries as i32);
    for (id, producer) in producers.iter() {
        if producer.batches().is_empty() {
            put(&mut body, id, producer, None);
        }
        for batch in producer.batches() {
            put(&mut body, id, producer, Some(*batch));
        }
    }
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.put_i16(VERSION);
    out.put_u32(checksum(CrcAlgorithm::Crc32Iscsi, &body) as u32);
    out.put_slice(&body);
    out
}

fn put(body: &mut Vec<u8>, id: i64, producer: &Producer, batch: Option<Appended>) {
    body.put_i64(id);
    body.put_i16(producer.epoch);
    body.put_i32(batch.map_or(-1, |batch| batch.last_sequence));
    body.put_i64(batch.map_or(-1, |batch| batch.last_offset));
    body.put_i32(batch.map_or(0, |batch| batch.offset_delta));
    body.put_i64(producer.last_timestamp);
    body.put_i32(producer.coordinator_epoch);
    body.put_i64(producer.transaction_first_offset.unwrap_or(-1));
}

/// Reads a snapshot; `None` when the content is damaged, for then an older one and the log will do.
pub(crate) fn decode(mut content: &[u8]) -> Option<Producers> {
    if content.len() < HEADER_BYTES + 4 || content.get_i16() != VERSION {
        return None;
    }
    let crc = content.get_u32();
    if checksum(CrcAlgorithm::Crc32Iscsi, content) as u32 != crc {
        return None;
    }
    let count = usize::try_from(content.get_i32()).ok()?;
    if content.len() != count.checked_mul(ENTRY_BYTES)? {
        return None;
    }
    let mut producers = Producers::default();
    for _ in 0..count {
        let id = content.get_i64();
        let epoch = content.get_i16();
        let (last_sequence, last_offset) = (content.get_i32(), content.get_i64());
        let (offset_delta, timestamp) = (content.get_i32(), content.get_i64());
        let coordinator_epoch = content.get_i32();
        let transaction_first_offset = Some(content.get_i64()).filter(|first| *first >= 0);
        let batch =
            (last_offset >= 0).then_some(Appended { last_sequence, last_offset, offset_delta, timestamp });
        let producer = Producer::recovered(epoch, coordinator_epoch, timestamp, transaction_first_offset);
        producers.restore(id, producer, batch);
    }
    Some(producers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_both_ways_and_refuses_damage() {
        let mut producers = Producers::default();
        let producer = Producer::recovered(3, 9, 1234, Some(55));
        for n in 0..3 {
            let batch =
                Appended { last_sequence: n, last_offset: i64::from(n), offset_delta: 0, timestamp: 1234 };
            producers.restore(42, producer.clone(), Some(batch));
        }
        producers.restore(43, Producer { transaction_first_offset: None, ..producer }, None);
        let mut content = encode(&producers);
        assert_eq!(content.len(), HEADER_BYTES + 4 + 4 * ENTRY_BYTES);
        assert_eq!(decode(&content), Some(producers));
        assert_eq!(decode(&content[..content.len() - 1]), None);
        content[20] ^= 1;
        assert_eq!(decode(&content), None);
    }

    #[test]
    fn an_empty_one_is_valid() {
        assert_eq!(decode(&encode(&Producers::default())), Some(Producers::default()));
    }
}
