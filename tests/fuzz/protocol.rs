//! What must hold for any bytes at all: no panic, no memory that the input does not pay for, and what was accepted
//! once is accepted again. Each function is a fuzz target; the crate's own tests call them too.

use bytes::Bytes;
use protocol::batch::{Batch, Checks, Compression, Header, split, validate};
use protocol::frame::RequestHeader;
use protocol::legacy::{Magic, from_batches, to_batch};
use protocol::messages::dispatch;
use protocol::{ApiKey, Decoder, Encoder};

const MAX_BYTES: usize = 1 << 20;

const CHECKS: Checks = Checks { require_keys: false, decompressed_max_bytes: MAX_BYTES };

/// A frame without its length, as a broker gets it.
pub(super) fn request(data: &[u8]) {
    let Ok((header, mut body)) = RequestHeader::decode(Bytes::copy_from_slice(data)) else { return };
    if !header.key.known_versions().contains(header.version) {
        return;
    }
    let mut out = Encoder::new();
    if dispatch::request(header.key, header.version, &mut body, &mut out).is_ok() {
        let once = out.finish().into_bytes().unwrap();
        let mut out = Encoder::new();
        dispatch::request(header.key, header.version, &mut Decoder::new(once.clone()), &mut out).unwrap();
        assert_eq!(out.finish().into_bytes().unwrap(), once);
    }
}

/// Two bytes that choose key and version, then the body of a response, as a client gets it.
pub(super) fn response(data: &[u8]) {
    let [key, version, body @ ..] = data else { return };
    let key = ApiKey::ALL[usize::from(*key) % ApiKey::ALL.len()];
    let known = key.known_versions();
    let version = known.lowest + i16::from(*version) % (known.highest - known.lowest + 1);
    let mut out = Encoder::new();
    let mut body = Decoder::new(Bytes::copy_from_slice(body));
    if dispatch::response(key, version, &mut body, &mut out).is_ok() {
        let once = out.finish().into_bytes().unwrap();
        let mut out = Encoder::new();
        dispatch::response(key, version, &mut Decoder::new(once.clone()), &mut out).unwrap();
        assert_eq!(out.finish().into_bytes().unwrap(), once);
    }
}

/// Batches, of which the first gets a good checksum, for hardly any would have one.
pub(super) fn batch(data: &[u8]) {
    let mut data = data.to_vec();
    if let Ok(header) = Header::parse(&data)
        && let Some(covered) = data.get(21..header.size_bytes())
    {
        let crc = crc(covered);
        data[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    for found in split(data.into()) {
        let Ok(found) = found else { return };
        let accepted = validate(found.bytes(), found.header(), CHECKS).is_ok();
        let Ok(records) = found.records(MAX_BYTES) else { continue };
        let mut count = 0;
        for record in records {
            match record {
                Ok(record) => {
                    let headers = record.headers.to_vec();
                    assert!(
                        !accepted || headers.is_some_and(|headers| headers.len() == record.headers.len())
                    );
                    count += 1;
                }
                Err(e) => assert!(!accepted, "accepted, but {e}"),
            }
        }
        assert!(!accepted || count == found.header().record_count);
    }
}

/// A byte that chooses the codec, then what may be compressed data.
pub(super) fn compressed(data: &[u8]) {
    let [codec, data @ ..] = data else { return };
    let codec = Compression::ALL[usize::from(*codec) % Compression::ALL.len()];
    if let Ok(plain) = codec.decompress(data, MAX_BYTES) {
        assert!(plain.len() <= MAX_BYTES && plain.capacity() <= 2 * MAX_BYTES);
    }
}

/// The message set of an old producer.
pub(super) fn message_set(data: &[u8]) {
    let Ok(batch) = to_batch(&Bytes::copy_from_slice(data), MAX_BYTES) else { return };
    let batch = Batch::parse(&batch.freeze()).unwrap();
    validate(batch.bytes(), batch.header(), CHECKS).unwrap();
    for magic in [Magic::V0, Magic::V1] {
        let set = from_batches(batch.bytes(), magic, 0, usize::MAX, MAX_BYTES).unwrap().freeze();
        let again = to_batch(&set, MAX_BYTES).unwrap();
        assert_eq!(Header::parse(&again).unwrap().record_count, batch.header().record_count);
    }
}

/// CRC-32C, the slow and simple way.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
