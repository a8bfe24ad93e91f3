//! Compaction: what stays, what goes and when, and what a crash leaves.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use protocol::batch::{Batch, Builder, Compression, split};

use super::fixture::{Fixture, ROOT, read};
use crate::io::{Crash, Faulty, Io, Memory};
use crate::{Known, LogConfig, Origin, Stopped};

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1_500,
        index_interval_bytes: 200,
        compact: true,
        delete: false,
        delete_retention_ms: 1_000,
        min_cleanable_dirty_ratio: 0.1,
        ..LogConfig::default()
    }
}

fn open<I: Io>(io: I) -> Fixture<I> {
    Fixture::open(io, Path::new(ROOT), config(), Known::default())
}

/// One batch of key-value pairs; no value is a tombstone.
fn pairs(compression: Compression, pairs: &[(&str, Option<&str>)]) -> Bytes {
    let mut builder = Builder::new(compression);
    for (key, value) in pairs {
        builder.push(1_000, Some(key.as_bytes()), value.map(str::as_bytes), &[("h", Some(b"x"))]);
    }
    builder.build().unwrap().freeze()
}

fn marker(producer: i64, commit: bool) -> Bytes {
    let mut builder = Builder::new(Compression::None).producer(producer, 0, -1).transactional().control();
    let key = [0, 0, 0, u8::from(commit)];
    builder.push(1_000, Some(&key), Some(&[0, 0, 0, 0, 0, 7]), &[]);
    builder.build().unwrap().freeze()
}

fn transactional(producer: i64, sequence: i32, key: &str, value: &str) -> Bytes {
    let mut builder = Builder::new(Compression::None).producer(producer, 0, sequence).transactional();
    builder.push(1_000, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    builder.build().unwrap().freeze()
}

/// Compacts at a time; `false` when there was nothing to do.
fn compact<I: Io>(fixture: &mut Fixture<I>, now_ms: i64) -> bool {
    fixture.checkpoint(Stopped::Clean);
    let Some(work) = fixture.log.prepare_compaction(now_ms).unwrap() else { return false };
    let mut paced = 0;
    let done = work.run(|bytes| paced += bytes).unwrap();
    assert!(paced as u64 >= done.bytes_before);
    fixture.log.apply_compaction(done).unwrap().remove().unwrap();
    true
}

fn batches<I: Io>(fixture: &mut Fixture<I>) -> Vec<Batch> {
    let mut offset = fixture.log.start_offset();
    let mut batches = Vec::new();
    while let Some((bytes, next)) = read(&mut fixture.log, offset, 3_000).unwrap() {
        for batch in split(bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            batches.push(batch);
        }
        offset = next;
    }
    batches
}

/// Offset, key and value of every data record.
fn records<I: Io>(fixture: &mut Fixture<I>) -> Vec<(i64, String, Option<String>)> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let data = batches(fixture).into_iter().filter(|batch| !batch.header().is_control());
    data.flat_map(|batch| batch.records(1 << 20).unwrap())
        .map(|record| record.unwrap())
        .map(|record| (record.offset, text(&record.key.unwrap()), record.value.as_ref().map(text)))
        .collect()
}

/// Closes the active segment by filling it.
fn fill<I: Io>(fixture: &mut Fixture<I>) {
    fixture.append(&pairs(Compression::None, &[("filler", Some(&"x".repeat(1_450)))])).unwrap();
}

#[test]
fn the_last_record_of_each_key_stays_where_it_is() {
    for compression in Compression::ALL {
        let io = Memory::default();
        let mut fixture = open(io.clone());
        let mut last = BTreeMap::new();
        for n in 0..60 {
            let (key, other) = (format!("k{}", n % 7), format!("unique{}", n / 20));
            let value = format!("value {n}");
            let info =
                fixture.append(&pairs(compression, &[(&key, Some(&value)), (&other, Some(&value))])).unwrap();
            last.insert(key, (info.base_offset, value.clone()));
            last.insert(other, (info.base_offset + 1, value));
        }
        fill(&mut fixture);
        let before = fixture.log.size_bytes();
        assert!(compact(&mut fixture, 2_000));
        assert!(fixture.log.size_bytes() < before / 2, "{compression:?}");
        let mut kept = records(&mut fixture);
        assert_eq!(kept.pop().map(|(_, key, _)| key), Some("filler".to_owned()));
        let mut expected: Vec<_> =
            last.iter().map(|(key, (at, value))| (*at, key.clone(), Some(value.clone()))).collect();
        expected.sort();
        assert_eq!(kept, expected);
        assert!(!compact(&mut fixture, 2_000), "nothing new to do");
        let known = fixture.checkpoint(Stopped::ProcessDied);
        let end = fixture.log.end_offset();
        let mut again = Fixture::open(io, Path::new(ROOT), config(), known);
        assert_eq!((again.log.end_offset(), records(&mut again).len()), (end, expected.len() + 1));
    }
}

#[test]
fn tombstones_go_after_every_reader_had_time_to_see_them() {
    let mut fixture = open(Memory::default());
    fixture.append(&pairs(Compression::None, &[("a", Some("1")), ("b", Some("1"))])).unwrap();
    fixture.append(&pairs(Compression::None, &[("a", None)])).unwrap();
    fill(&mut fixture);
    assert!(compact(&mut fixture, 10_000));
    let keys = |fixture: &mut Fixture<Memory>| -> Vec<(String, bool)> {
        records(fixture).into_iter().map(|(_, key, value)| (key, value.is_some())).collect()
    };
    assert_eq!(keys(&mut fixture)[..2], [("b".to_owned(), true), ("a".to_owned(), false)]);
    let horizons = |fixture: &mut Fixture<Memory>| -> Vec<i64> {
        batches(fixture).iter().filter_map(|batch| batch.header().delete_horizon_ms()).collect()
    };
    assert_eq!(horizons(&mut fixture), [11_000]);
    fill(&mut fixture);
    assert!(compact(&mut fixture, 10_900));
    assert_eq!(horizons(&mut fixture), [11_000], "the date stays");
    fill(&mut fixture);
    assert!(compact(&mut fixture, 11_001));
    assert_eq!(keys(&mut fixture)[0], ("b".to_owned(), true));
    assert!(!keys(&mut fixture).iter().any(|(key, _)| key == "a"));
}

#[test]
fn aborted_records_go_and_open_transactions_are_left_alone() {
    let mut fixture = open(Memory::default());
    let coordinator = |fixture: &mut Fixture<Memory>, batch: &Bytes| {
        fixture.log.append_as_leader(batch, 0, Origin::Coordinator, 0).unwrap();
        fixture.log.set_high_watermark(i64::MAX);
    };
    fixture.append(&pairs(Compression::None, &[("a", Some("kept"))])).unwrap();
    fixture.append(&transactional(1, 0, "a", "aborted")).unwrap();
    assert_eq!(fixture.log.last_stable_offset(), 1);
    coordinator(&mut fixture, &marker(1, false));
    assert_eq!(fixture.log.last_stable_offset(), 3);
    let aborted = fixture.log.aborted_transactions(0, 100).unwrap();
    assert_eq!((aborted[0].producer_id, aborted[0].first_offset, aborted[0].last_offset), (1, 1, 2));
    assert!(fixture.log.aborted_transactions(3, 100).unwrap().is_empty());
    fixture.append(&transactional(2, 0, "a", "committed")).unwrap();
    coordinator(&mut fixture, &marker(2, true));
    fixture.append(&transactional(3, 0, "a", "open")).unwrap();
    fill(&mut fixture);
    assert!(!compact(&mut fixture, 2_000), "the open transaction is in the only closed segment");
    coordinator(&mut fixture, &marker(3, false));
    fill(&mut fixture);
    assert!(compact(&mut fixture, 2_000));
    let kept = records(&mut fixture);
    assert_eq!((kept[0].0, kept[0].2.as_deref()), (3, Some("committed")));
    let markers = |fixture: &mut Fixture<Memory>| {
        batches(fixture).iter().filter(|batch| batch.header().is_control()).count()
    };
    // The producers' last batches stay for their sequences, without records; as long as they do, so do the markers,
    // or the transactions would be open for ever to whoever learns them from the batches.
    assert_eq!(markers(&mut fixture), 3);
    fill(&mut fixture);
    assert!(compact(&mut fixture, 3_001));
    assert_eq!((markers(&mut fixture), fixture.log.aborted_transactions(0, 100).unwrap().len()), (3, 2));
    for producer in [1, 3] {
        let mut next = Builder::new(Compression::None).producer(producer, 0, 1);
        next.push(1_000, Some(b"next"), Some(b"of both"), &[]);
        fixture.append(&next.build().unwrap().freeze()).unwrap();
    }
    fill(&mut fixture);
    assert!(compact(&mut fixture, 4_000));
    assert_eq!(markers(&mut fixture), 3, "until their date");
    fill(&mut fixture);
    assert!(compact(&mut fixture, 5_001));
    assert_eq!(markers(&mut fixture), 1, "that of the committed record");
    assert!(
        fixture.log.aborted_transactions(0, 100).unwrap().is_empty(),
        "nor is there anything to leave out"
    );
}

#[test]
fn a_producers_last_batch_keeps_its_sequence() {
    let io = Memory::default();
    let mut fixture = open(io.clone());
    let idempotent = |sequence| {
        let mut builder = Builder::new(Compression::None).producer(9, 0, sequence);
        builder.push(1_000, Some(b"k"), Some(b"v"), &[]);
        builder.build().unwrap().freeze()
    };
    for n in 0..5 {
        fixture.append(&idempotent(n)).unwrap();
    }
    fixture.append(&pairs(Compression::None, &[("k", Some("newer"))])).unwrap();
    fill(&mut fixture);
    assert!(compact(&mut fixture, 2_000));
    let empty: Vec<i64> = batches(&mut fixture)
        .iter()
        .filter(|batch| batch.header().record_count == 0)
        .map(|batch| batch.header().base_offset)
        .collect();
    assert_eq!(empty, [4]);
    let mut again = Fixture::open(io, Path::new(ROOT), config(), Known::default());
    assert!(again.append(&idempotent(4)).unwrap().duplicate);
    assert_eq!(again.append(&idempotent(5)).unwrap().base_offset, 7);
}

#[test]
fn a_crash_at_any_moment_leaves_the_old_or_the_new() {
    for (changes, crash) in (0..60).flat_map(|n| [(n, Crash::Kill), (n, Crash::PowerLoss)]) {
        let io = Faulty::new(changes);
        let mut fixture = open(io.clone());
        for n in 0..60 {
            let (key, value) = (format!("k{}", n % 5), format!("value {n}"));
            fixture.append(&pairs(Compression::None, &[(&key, Some(&value))])).unwrap();
        }
        fill(&mut fixture);
        let known = fixture.checkpoint(Stopped::ProcessDied);
        let end = fixture.log.end_offset();
        let newest = |fixture: &mut Fixture<Faulty>| -> BTreeMap<String, Option<String>> {
            records(fixture).into_iter().map(|(_, key, value)| (key, value)).collect()
        };
        let expected = newest(&mut fixture);
        io.crash_after(changes);
        let work = fixture.log.prepare_compaction(2_000).unwrap().unwrap();
        if let Ok(done) = work.run(|_| {})
            && let Ok(garbage) = fixture.log.apply_compaction(done)
        {
            let _ = garbage.remove();
        }
        io.crash(crash);
        let stopped = if crash == Crash::Kill { Stopped::ProcessDied } else { Stopped::MachineDied };
        let mut again = Fixture::open(io.clone(), Path::new(ROOT), config(), Known { stopped, ..known });
        assert_eq!(again.log.end_offset(), end, "{changes} {crash:?}");
        assert_eq!(newest(&mut again), expected, "{changes} {crash:?}");
        let names = io.list(again.log.dir()).unwrap();
        let left = |entry: &crate::io::Entry| {
            ["cleaned", "swap", "deleted"].iter().any(|end| entry.name.ends_with(end))
        };
        assert!(!names.iter().any(left), "{names:?}");
    }
}
