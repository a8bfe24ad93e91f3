//! Message sets of old clients, written here by hand, since no library that is still kept writes them.

use bytes::{BufMut, Bytes, BytesMut};

use super::wire::Rng;
use crate::batch::{self, Batch, BatchError, Builder, Checks, Compression, Header, Marker, Record};
use crate::legacy::{Magic, from_batches, to_batch};

const MAX_BYTES: usize = 1 << 20;

type Bits = Option<&'static [u8]>;

/// A message as the protocol guide describes it.
fn message(
    offset: i64,
    magic: i8,
    attributes: i8,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = BytesMut::new();
    body.put_i8(magic);
    body.put_i8(attributes);
    if magic == 1 {
        body.put_i64(timestamp);
    }
    for field in [key, value] {
        body.put_i32(field.map_or(-1, |bytes| bytes.len() as i32));
        body.put_slice(field.unwrap_or_default());
    }
    let mut whole = BytesMut::new();
    whole.put_i64(offset);
    whole.put_i32(body.len() as i32 + 4);
    whole.put_u32(crc_fast::crc32_iso_hdlc(&body));
    whole.put_slice(&body);
    whole.to_vec()
}

const RECORDS: [(i64, Bits, Bits); 4] = [
    (1_000, Some(b"a"), Some(b"one")),
    (1_005, None, Some(b"two")),
    (1_003, Some(b"c"), None),
    (1_004, None, Some(b"")),
];

fn set(magic: i8) -> Vec<u8> {
    let messages = RECORDS.iter().enumerate();
    messages.flat_map(|(n, (time, key, value))| message(n as i64, magic, 0, *time, *key, *value)).collect()
}

fn records(batch: &Bytes) -> Vec<Record> {
    let header = Header::parse(batch).unwrap();
    batch::validate(batch, &header, Checks { require_keys: false, decompressed_max_bytes: MAX_BYTES })
        .unwrap();
    Batch::parse(batch).unwrap().records(MAX_BYTES).unwrap().collect::<Result<_, _>>().unwrap()
}

fn expect_records(found: &[Record], first_offset: i64, has_times: bool) {
    assert_eq!(found.len(), RECORDS.len());
    for (n, (record, (time, key, value))) in found.iter().zip(RECORDS).enumerate() {
        assert_eq!(record.offset, first_offset + n as i64);
        assert_eq!(record.timestamp_ms, if has_times { time } else { -1 });
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (key, value));
    }
}

#[test]
fn what_old_producers_send_becomes_one_good_batch() {
    for magic in [0, 1] {
        let batch = to_batch(&set(magic).into(), MAX_BYTES).unwrap().freeze();
        expect_records(&records(&batch), 0, magic == 1);
    }
}

#[test]
fn compressed_sets_are_unwrapped_and_stay_compressed() {
    for magic in [0, 1] {
        for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            let mut packed = codec.compress(&set(magic)).unwrap();
            if codec == Compression::Lz4 && magic == 0 {
                // The wrong checksum of the time: it covered the magic number of the frame too.
                let right = packed[6];
                packed[6] = (twox_hash::XxHash32::oneshot(0, &packed[..6]) >> 8) as u8;
                assert_ne!(packed[6], right);
            }
            let wrapper = message(3, magic, codec.bits() as i8, 1_005, None, Some(&packed));
            let batch = to_batch(&wrapper.into(), MAX_BYTES).unwrap().freeze();
            assert_eq!(Header::parse(&batch).unwrap().compression().unwrap(), codec);
            expect_records(&records(&batch), 0, magic == 1);
        }
    }
}

#[test]
fn what_old_consumers_get_is_what_old_producers_sent() {
    for (magic, version) in [(0, 1), (1, 3)] {
        let format = Magic::of_fetch(version).unwrap();
        let mut batch = to_batch(&set(magic).into(), MAX_BYTES).unwrap();
        assert_eq!(
            from_batches(&batch.clone().freeze(), format, 0, MAX_BYTES, MAX_BYTES).unwrap(),
            set(magic)
        );
        batch::stamp(&mut batch, 500, 3);
        let set = from_batches(&batch.freeze(), format, 0, MAX_BYTES, MAX_BYTES).unwrap();
        assert_eq!(set[..8], 500i64.to_be_bytes());
    }
    assert_eq!(Magic::of_fetch(4), None);
}

#[test]
fn old_consumers_get_data_from_their_offset_on_and_no_markers() {
    let mut log = BytesMut::new();
    for (base, codec) in [(10, Compression::None), (20, Compression::Zstd)] {
        let mut builder = Builder::new(codec).at(base, 1);
        for n in 0..10u8 {
            builder.push(1, Some(&[n]), Some(b"value"), &[("header", Some(b"is lost"))]);
        }
        log.extend_from_slice(&builder.build().unwrap());
    }
    let mut marker = Marker { is_commit: true, coordinator_epoch: 1 }.batch(1, 1, 1).unwrap();
    batch::stamp(&mut marker, 30, 1);
    log.extend_from_slice(&marker);
    log.extend_from_slice(&marker[..20]);
    let log = log.freeze();
    let offsets = |first, max| {
        let set = from_batches(&log, Magic::V1, first, max, MAX_BYTES).unwrap();
        let size = message(0, 1, 0, 1, Some(b"k"), Some(b"value")).len();
        assert_eq!(set.len() % size, 0);
        set.chunks(size).map(|m| i64::from_be_bytes(m[..8].try_into().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(offsets(0, MAX_BYTES), (10..30).collect::<Vec<_>>());
    assert_eq!(offsets(17, MAX_BYTES), (17..30).collect::<Vec<_>>());
    assert_eq!(offsets(25, 100), [25, 26], "as many as fit");
    assert_eq!(offsets(25, 1), [25], "one always fits");
    assert_eq!(offsets(30, MAX_BYTES), Vec::<i64>::new());
}

#[test]
fn bad_sets_are_refused() {
    let refused = |set: Vec<u8>| to_batch(&set.into(), 10_000).expect_err("must be refused");
    assert!(matches!(refused(vec![]), BatchError::Header(_)));
    let good = set(1);
    for end in 1..good.len() {
        // Cut between two messages it is a shorter set.
        let cut = to_batch(&Bytes::copy_from_slice(&good[..end]), 10_000);
        let is_whole = RECORDS.len() > 1 && [38, 75, 110].contains(&end);
        assert_eq!(cut.is_ok(), is_whole, "cut at {end}");
    }
    let mut damaged = good.clone();
    damaged[30] ^= 1;
    assert!(matches!(refused(damaged), BatchError::Crc { .. }));
    assert!(matches!(refused(message(0, 2, 0, 0, None, None)), BatchError::Magic(2)));
    assert!(matches!(refused(message(0, 1, 4, 0, None, Some(b"zstd"))), BatchError::UnknownCompression(4)));
    assert!(matches!(refused(message(0, 1, 1, 0, None, None)), BatchError::Record { .. }));
    let once = message(0, 1, 1, 0, None, Some(&Compression::Gzip.compress(&good).unwrap()));
    let twice = message(0, 1, 1, 0, None, Some(&Compression::Gzip.compress(&once).unwrap()));
    assert!(matches!(refused(twice), BatchError::Record { problem: "compressed twice", .. }));
    // Each is below the limit, both together are not.
    let half = message(0, 1, 0, 0, None, Some(&[0; 6_000]));
    let bomb = message(0, 1, 1, 0, None, Some(&Compression::Gzip.compress(&half).unwrap()));
    to_batch(&bomb.clone().into(), 10_000).unwrap();
    assert!(matches!(refused([bomb.clone(), bomb].concat()), BatchError::TooLarge { .. }));
}

#[test]
fn random_sets_never_panic() {
    let mut rng = Rng(5);
    for _ in 0..20_000 {
        let mut bytes = set((rng.below(2)) as i8);
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next() as u8;
        }
        let _ = to_batch(&bytes.into(), 10_000);
    }
}
