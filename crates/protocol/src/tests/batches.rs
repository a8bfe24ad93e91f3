//! Record batches: written and read by us and by `kafka-protocol`, stamped, damaged, and bombs.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records as theirs;

use super::wire::Rng;
use crate::ErrorCode;
use crate::batch::{
    self, Batch, BatchError, Builder, Checks, Compression, Header, Marker, Record, Retained, TimestampKind,
    Validated, retain, split, validate,
};

const CHECKS: Checks = Checks { require_keys: false, decompressed_max_bytes: 1 << 20 };

fn sample(compression: Compression, seed: u64) -> BytesMut {
    let mut rng = Rng(seed);
    let mut builder = Builder::new(compression).producer(7, 3, 100);
    for n in 0..rng.below(40) + 1 {
        let key = rng.bytes(8);
        let value = vec![b'a' + (n % 26) as u8; rng.below(400) as usize];
        let headers: &[(&str, Option<&[u8]>)] = &[("trace", Some(b"1234")), ("empty", None)];
        builder.push(
            1_700_000_000_000 + (rng.below(1000)).cast_signed() - 500,
            (!rng.one_in(3)).then_some(&key),
            (!rng.one_in(5)).then_some(&value),
            if rng.one_in(2) { headers } else { &[] },
        );
    }
    builder.build().unwrap()
}

fn check(batch: &[u8]) -> Result<Validated, BatchError> {
    validate(batch, &Header::parse(batch)?, CHECKS)
}

#[test]
fn batches_of_all_codecs_are_what_kafka_protocol_reads() {
    for codec in Compression::ALL {
        for seed in 0..30 {
            let batch = sample(codec, seed).freeze();
            check(&batch).unwrap_or_else(|e| panic!("{codec} seed {seed}: {e}"));
            let ours: Vec<_> =
                Batch::parse(&batch).unwrap().records(1 << 20).unwrap().collect::<Result<_, _>>().unwrap();
            let read = theirs::RecordBatchDecoder::decode(&mut batch.clone()).unwrap();
            assert_eq!(ours.len(), read.records.len(), "{codec} seed {seed}");
            for (our, their) in ours.iter().zip(&read.records) {
                assert_eq!((our.offset, our.timestamp_ms), (their.offset, their.timestamp));
                assert_eq!((&our.key, &our.value), (&their.key, &their.value));
                let headers: Vec<_> = their
                    .headers
                    .iter()
                    .map(|(k, v)| (Bytes::copy_from_slice(k.as_bytes()), v.clone()))
                    .collect();
                assert_eq!(our.headers.to_vec().unwrap(), headers);
            }
        }
    }
}

#[test]
fn batches_that_kafka_protocol_wrote_are_accepted() {
    let codecs = [
        theirs::Compression::None,
        theirs::Compression::Gzip,
        theirs::Compression::Snappy,
        theirs::Compression::Lz4,
        theirs::Compression::Zstd,
    ];
    for compression in codecs {
        let records: Vec<_> = (0..50i32)
            .map(|n| theirs::Record {
                transactional: false,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: 4,
                producer_id: 9,
                producer_epoch: 1,
                timestamp_type: theirs::TimestampType::Creation,
                offset: i64::from(n),
                sequence: n,
                timestamp: 1_000 + i64::from(n % 7),
                key: Some(Bytes::from(format!("key {n}"))),
                value: Some(Bytes::from(vec![b'v'; 300])),
                headers: Default::default(),
            })
            .collect();
        let mut bytes = BytesMut::new();
        let options = theirs::RecordEncodeOptions { version: 2, compression };
        theirs::RecordBatchEncoder::encode(&mut bytes, records.iter(), &options).unwrap();
        let validated = check(&bytes).unwrap_or_else(|e| panic!("{compression:?}: {e}"));
        let expected =
            Validated { min_timestamp_ms: 1_000, max_timestamp_ms: 1_006, max_timestamp_offset_delta: 6 };
        assert_eq!(validated, expected, "{compression:?}");
    }
}

#[test]
fn stamping_changes_only_what_the_checksum_does_not_cover() {
    let mut batch = sample(Compression::Lz4, 1);
    let before = Header::parse(&batch).unwrap();
    assert_eq!(batch::stamped_prefix(&before, 0, -1), batch[..batch::STAMPED_PREFIX_BYTES]);
    batch::stamp(&mut batch, 5_000, 12);
    let after = Header::parse(&batch).unwrap();
    assert_eq!(after, Header { base_offset: 5_000, leader_epoch: 12, ..before });
    assert_eq!(batch::stamped_prefix(&before, 5_000, 12), batch[..batch::STAMPED_PREFIX_BYTES]);
    after.check_crc(&batch).unwrap();
    assert_eq!(after.last_offset(), 5_000 + i64::from(before.record_count) - 1);
}

#[test]
fn the_time_of_arrival_becomes_the_time_of_every_record() {
    let mut batch = sample(Compression::None, 2);
    batch::set_log_append_time(&mut batch, 42);
    check(&batch).unwrap();
    let batch = Batch::parse(&batch.freeze()).unwrap();
    assert_eq!(batch.header().timestamp_kind(), TimestampKind::LogAppend);
    assert!(batch.records(0).unwrap().all(|record| record.unwrap().timestamp_ms == 42));
}

#[test]
fn several_batches_are_split_and_a_torn_one_is_reported() {
    let parts: Vec<_> = (0..3).map(|seed| sample(Compression::None, seed)).collect();
    let whole = Bytes::from(parts.concat());
    let split_up: Vec<_> = split(whole.clone()).collect::<Result<_, _>>().unwrap();
    assert_eq!(split_up.iter().map(|b| b.bytes().to_vec()).collect::<Vec<_>>(), parts);
    let mut torn = split(whole.slice(..whole.len() - 1));
    assert!(torn.by_ref().take(2).all(|b| b.is_ok()));
    assert!(matches!(torn.next(), Some(Err(BatchError::Truncated { .. }))));
    assert!(torn.next().is_none());
}

#[test]
fn every_damaged_byte_is_noticed() {
    let good = sample(Compression::None, 5);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        // Base offset and leader epoch may be anything.
        let is_covered = !(at < 8 || (12..16).contains(&at));
        assert_eq!(check(&bad).is_err(), is_covered, "byte {at}");
    }
    for end in 0..good.len() {
        assert!(check(&good[..end]).is_err(), "cut at {end}");
    }
}

/// Changes a batch behind the back of its checksum.
fn forge(batch: &mut [u8], change: impl FnOnce(&mut [u8])) -> Result<Validated, BatchError> {
    change(batch);
    let crc = crc_fast::crc32_iscsi(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    check(batch)
}

/// What is changed, how, and what the producer is told.
type Forgery = (&'static str, fn(&mut [u8]), ErrorCode);

#[test]
fn forged_batches_with_good_checksums_are_refused() {
    let cases: [Forgery; 8] = [
        ("old magic", |b| b[16] = 1, ErrorCode::InvalidRecord),
        ("one record too few", |b| b[60] -= 1, ErrorCode::InvalidRecord),
        ("one offset too many", |b| b[26] += 1, ErrorCode::InvalidRecord),
        ("no records", |b| b[57..61].fill(0), ErrorCode::InvalidRecord),
        (
            "two billion records",
            |b| b[57..61].copy_from_slice(&[0x7f, 255, 255, 255]),
            ErrorCode::InvalidRecord,
        ),
        ("control batch", |b| b[22] |= 0x20, ErrorCode::InvalidRecord),
        ("producer without sequence", |b| b[53..57].fill(255), ErrorCode::InvalidRecord),
        ("codec that does not exist", |b| b[22] |= 7, ErrorCode::UnsupportedCompressionType),
    ];
    for (what, change, code) in cases {
        let error = forge(&mut sample(Compression::None, 3), change).expect_err(what);
        assert_eq!(error.code(), code, "{what}: {error}");
    }
}

#[test]
fn records_are_walked_whatever_the_header_says() {
    let good = sample(Compression::None, 3);
    for at in Header::BYTES..good.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            // Most of these are bad, some are other good records; none may panic or loop.
            let _ = forge(&mut good.clone(), |b| b[at] = value);
        }
    }
    let mut rng = Rng(77);
    for codec in Compression::ALL {
        let good = sample(codec, 4);
        for _ in 0..2_000 {
            let at = Header::BYTES + rng.below((good.len() - Header::BYTES) as u64) as usize;
            let value = rng.next() as u8;
            let _ = forge(&mut good.clone(), |b| b[at] = value);
        }
    }
}

#[test]
fn compacted_topics_want_keys() {
    let mut builder = Builder::new(Compression::None);
    builder.push(1, Some(b"k"), Some(b"v"), &[]);
    builder.push(1, None, Some(b"v"), &[]);
    let batch = builder.build().unwrap();
    let header = Header::parse(&batch).unwrap();
    let error = validate(&batch, &header, Checks { require_keys: true, ..CHECKS }).expect_err("no key");
    assert!(matches!(error, BatchError::KeysMissing { ref records } if records == &[1]));
    assert_eq!(error.code(), ErrorCode::InvalidRecord);
}

#[test]
fn bombs_do_not_go_off() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let mut builder = Builder::new(codec);
        builder.push(1, None, Some(&vec![0; 8 << 20]), &[]);
        let bomb = builder.build().unwrap();
        let error = check(&bomb).expect_err("must not be decompressed");
        assert!(matches!(error, BatchError::TooLarge { limit: 1_048_576 }), "{codec}: {error}");
        assert_eq!(error.code(), ErrorCode::MessageTooLarge);
        let error = codec.decompress(b"certainly not compressed", 100).expect_err("not compressed");
        assert!(
            matches!(error, BatchError::Decompress { .. } | BatchError::TooLarge { .. }),
            "{codec}: {error}"
        );
    }
}

#[test]
fn a_limit_that_just_suffices_suffices() {
    let plain = b"0123456789".repeat(100);
    for codec in Compression::ALL {
        let packed = codec.compress(&plain).unwrap();
        assert_eq!(codec.decompress(&packed, 1_000).unwrap(), plain, "{codec}");
        let error = codec.decompress(&packed, 999).expect_err("one byte too much");
        assert!(matches!(error, BatchError::TooLarge { limit: 999 }), "{codec}");
        assert_eq!(Compression::from_name(codec.name()), Some(codec));
    }
}

#[test]
fn plain_snappy_is_read_too() {
    let plain = b"some clients do not frame".repeat(10);
    let packed = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(Compression::Snappy.decompress(&packed, 1 << 20).unwrap(), plain);
}

#[test]
fn compaction_keeps_offsets_times_and_headers_of_the_records_that_stay() {
    for codec in Compression::ALL {
        let original = Batch::parse(&sample(codec, 9).freeze()).unwrap();
        let records: Vec<_> = original.records(1 << 20).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(records.len() > 4, "the seed gives too few records");
        let keep = |record: &Record| record.offset % 3 == 1;
        let kept: Vec<_> = records.iter().filter(|record| keep(record)).cloned().collect();
        for horizon in [None, Some(1_700_000_100_000)] {
            let Retained::Part(smaller) = retain(&original, 1 << 20, horizon, keep).unwrap() else {
                panic!("records were dropped")
            };
            let smaller = Batch::parse(&smaller.freeze()).unwrap();
            smaller.check_crc().unwrap();
            let (old, new) = (original.header(), smaller.header());
            assert_eq!((new.base_offset, new.last_offset()), (old.base_offset, old.last_offset()));
            assert_eq!((new.producer_id, new.last_sequence()), (old.producer_id, old.last_sequence()));
            assert_eq!(new.delete_horizon_ms(), horizon);
            assert_eq!(Some(new.max_timestamp), kept.iter().map(|record| record.timestamp_ms).max());
            assert_eq!(smaller.records(1 << 20).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), kept);
            // What has a horizon keeps it.
            let again = retain(&smaller, 1 << 20, horizon.map(|h| h + 1), |_| true).unwrap();
            assert!(matches!(again, Retained::All));
        }
    }
}

#[test]
fn an_empty_batch_still_says_how_far_its_producer_got() {
    let original = Batch::parse(&sample(Compression::Gzip, 9).freeze()).unwrap();
    let Retained::Part(empty) = retain(&original, 1 << 20, None, |_| false).unwrap() else {
        panic!("records were dropped")
    };
    let empty = Batch::parse(&empty.freeze()).unwrap();
    empty.check_crc().unwrap();
    assert_eq!(empty.bytes().len(), Header::BYTES);
    assert_eq!(empty.header().last_sequence(), original.header().last_sequence());
    assert_eq!(empty.header().last_offset(), original.header().last_offset());
    assert_eq!(empty.records(0).unwrap().count(), 0);
}

#[test]
fn markers_end_transactions_as_kafka_protocol_reads_them() {
    for is_commit in [true, false] {
        let marker = Marker { is_commit, coordinator_epoch: 5 };
        let bytes = marker.batch(70, 2, 1_000).unwrap().freeze();
        let batch = Batch::parse(&bytes).unwrap();
        batch.check_crc().unwrap();
        assert_eq!(Marker::read(&batch), Some(marker));
        let theirs = theirs::RecordBatchDecoder::decode(&mut bytes.clone()).unwrap();
        let record = &theirs.records[0];
        assert!(record.control && record.transactional && record.producer_id == 70);
        assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, u8::from(is_commit)][..]));
        assert_eq!(record.value.as_deref(), Some(&[0, 0, 0, 0, 0, 5][..]));
    }
    let plain = Batch::parse(&sample(Compression::None, 1).freeze()).unwrap();
    assert_eq!(Marker::read(&plain), None);
}

#[test]
fn sequence_numbers_wrap_to_zero() {
    let mut builder = Builder::new(Compression::None).producer(1, 0, i32::MAX - 1);
    (0..4).for_each(|_| builder.push(1, None, Some(b"v"), &[]));
    let header = Header::parse(&builder.build().unwrap()).unwrap();
    assert_eq!(header.last_sequence(), 1);
}

#[test]
#[ignore = "a measurement, run it with --release --nocapture"]
#[expect(clippy::disallowed_methods, reason = "a measurement needs the real clock")]
fn cost_of_validation() {
    for (records, size) in [(160, 100), (1000, 1000), (1, 1000)] {
        for codec in Compression::ALL {
            let mut rng = Rng(1);
            let mut builder = Builder::new(codec);
            for _ in 0..records {
                // Half random, half zero: compresses to about a half.
                let mut value = rng.bytes(size / 2);
                value.resize(size, 0);
                builder.push(1, None, Some(&value), &[]);
            }
            let batch = builder.build().unwrap();
            let header = Header::parse(&batch).unwrap();
            let checks = Checks { require_keys: false, decompressed_max_bytes: 1 << 30 };
            let rounds = 20_000_000 / (records * size).max(1);
            let start = std::time::Instant::now();
            for _ in 0..rounds {
                validate(std::hint::black_box(&batch), &header, checks).unwrap();
            }
            let whole = start.elapsed();
            let start = std::time::Instant::now();
            for _ in 0..rounds {
                header.check_crc(std::hint::black_box(&batch)).unwrap();
            }
            let crc = start.elapsed();
            let per = |time: std::time::Duration| time.as_nanos() as f64 / rounds as f64 / 1000.0;
            println!(
                "{records} x {size} B {codec}: {:.2} us a batch, {:.2} us of them checksum, {:.2} GB/s",
                per(whole),
                per(crc),
                (records * size * rounds) as f64 / whole.as_nanos() as f64
            );
        }
    }
}
