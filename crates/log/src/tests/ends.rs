//! Both ends of a log: retention, deletion, truncation, damage, a full disk.

use std::path::Path;

use super::fixture::{Fixture, ROOT, batch, sequenced};
use crate::io::{Crash, Faulty, Io, Memory};
use crate::{AppendError, DeleteError, Known, LogConfig, Stopped};

fn config() -> LogConfig {
    LogConfig { segment_bytes: 1_000, index_interval_bytes: 200, ..LogConfig::default() }
}

/// Batches of ten records and about 1 KB each, at times 0, 100, 200, …
fn ten_batches<I: Io>(io: I, config: LogConfig) -> Fixture<I> {
    let mut fixture = Fixture::open(io, Path::new(ROOT), config, Known::default());
    for n in 0..10 {
        fixture.append(&batch(10, 90, n * 100)).unwrap();
    }
    fixture
}

/// The same, each in a segment of its own.
fn ten_segments<I: Io>(io: I, config: LogConfig) -> Fixture<I> {
    let fixture = ten_batches(io, config);
    assert_eq!(fixture.log.segment_count(), 10);
    fixture
}

fn names<I: Io>(io: &I) -> Vec<String> {
    io.list(&Path::new(ROOT).join("orders-0")).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn retention_by_time_takes_whole_expired_segments() {
    let io = Memory::default();
    let mut fixture = ten_segments(io.clone(), LogConfig { retention_ms: Some(1_000), ..config() });
    let garbage = fixture.log.retain(1_350).unwrap();
    assert!(garbage.bytes() > 4_000);
    garbage.remove().unwrap();
    assert_eq!((fixture.log.start_offset(), fixture.log.segment_count()), (40, 6));
    assert!(
        !names(&io)
            .iter()
            .any(|name| name.starts_with("00000000000000000030.") || name.ends_with(".deleted"))
    );
    // In the end everything is too old, the active segment too.
    fixture.log.retain(10_000).unwrap().remove().unwrap();
    assert_eq!(
        (fixture.log.start_offset(), fixture.log.end_offset(), fixture.log.size_bytes()),
        (100, 100, 0)
    );
    assert_eq!(fixture.append(&batch(1, 10, 2_000)).unwrap().base_offset, 100);
}

#[test]
fn retention_by_size_leaves_at_least_that_much() {
    let config = LogConfig { retention_bytes: Some(3_500), retention_ms: None, ..config() };
    let mut fixture = ten_segments(Memory::default(), config);
    fixture.log.retain(0).unwrap().remove().unwrap();
    let size = fixture.log.size_bytes();
    assert!((3_500..4_700).contains(&size), "{size}");
}

#[test]
fn retention_never_takes_what_is_not_replicated() {
    let mut fixture = Fixture::open(
        Memory::default(),
        Path::new(ROOT),
        LogConfig { retention_ms: Some(0), ..config() },
        Known::default(),
    );
    for _ in 0..5 {
        fixture.log.append_as_leader(&batch(10, 90, 0), 0, crate::Origin::Client, 0).unwrap();
    }
    fixture.log.set_high_watermark(20);
    fixture.log.retain(1_000_000).unwrap().remove().unwrap();
    assert_eq!(fixture.log.start_offset(), 20);
}

#[test]
fn deleted_records_stay_deleted() {
    let io = Memory::default();
    let mut fixture = ten_segments(io.clone(), config());
    assert!(matches!(fixture.log.delete_records(101), Err(DeleteError::OutOfRange { .. })));
    fixture.log.delete_records(35).unwrap().remove().unwrap();
    assert_eq!((fixture.log.start_offset(), fixture.log.segment_count()), (35, 7));
    let known = fixture.known(Stopped::ProcessDied);
    let mut again = Fixture::open(io, Path::new(ROOT), config(), known);
    assert_eq!(again.log.start_offset(), 35);
    assert_eq!(again.headers_from(35)[0].base_offset, 30, "the batch that covers the offset");
}

#[test]
fn truncation_forgets_producers_and_epochs_of_what_it_cuts() {
    let mut fixture = Fixture::open(Memory::default(), Path::new(ROOT), config(), Known::default());
    for n in 0..40 {
        fixture.log.begin_epoch(n / 10);
        fixture.log.append_as_leader(&sequenced(1, 0, n, 1), n / 10, crate::Origin::Client, 0).unwrap();
    }
    fixture.log.truncate_to(25).unwrap();
    assert_eq!(fixture.log.end_offset(), 25);
    assert_eq!(fixture.log.latest_epoch(), Some(2));
    assert_eq!(fixture.log.epoch_end_offset(2).end_offset, 25);
    assert_eq!(fixture.log.epoch_end_offset(1).end_offset, 20);
    assert!(matches!(fixture.append(&sequenced(1, 0, 26, 1)), Err(AppendError::Producer(_))));
    assert_eq!(fixture.append(&sequenced(1, 0, 25, 1)).unwrap().base_offset, 25);
    fixture.log.restart_at(1_000).unwrap();
    assert_eq!((fixture.log.start_offset(), fixture.log.end_offset()), (1_000, 1_000));
    assert_eq!(fixture.append(&batch(1, 1, 1)).unwrap().base_offset, 1_000);
}

#[test]
fn a_full_disk_refuses_appends_serves_reads_and_recovers() {
    let io = Faulty::new(1);
    let mut fixture = Fixture::open(io.clone(), Path::new(ROOT), LogConfig::default(), Known::default());
    fixture.append(&batch(10, 100, 1)).unwrap();
    io.set_free_bytes(Some(300));
    for _ in 0..3 {
        let error = fixture.append(&batch(10, 100, 2)).unwrap_err();
        assert!(error.is_disk_full(), "{error:?}");
        assert_eq!(error.code(), protocol::ErrorCode::KafkaStorageError);
        assert_eq!(fixture.headers_from(0).len(), 1);
    }
    // What the failed writes left is gone: no crash is needed to get rid of it.
    let log_file = &io.list(fixture.log.dir()).unwrap()[0];
    assert_eq!(log_file.len, fixture.log.size_bytes());
    io.set_free_bytes(None);
    assert_eq!(fixture.append(&batch(10, 100, 3)).unwrap().base_offset, 10);
    assert_eq!(fixture.headers_from(0).len(), 2);
}

#[test]
fn a_failed_sync_is_an_error_and_the_next_start_trusts_nothing() {
    let io = Faulty::new(1);
    let mut fixture = Fixture::open(io.clone(), Path::new(ROOT), LogConfig::default(), Known::default());
    fixture.append(&batch(10, 100, 1)).unwrap();
    io.fail_syncs(1);
    let flush = fixture.log.prepare_flush(crate::Extent::Batches).unwrap().unwrap();
    assert!(flush.run().is_err());
    assert_eq!(fixture.log.durable_offset(), 0);
    let (_, startup) =
        crate::Store::open(io, Path::new(ROOT), crate::StoreConfig::default(), "boot").unwrap();
    assert_eq!(startup.stopped, Stopped::MachineDied);
}

#[test]
fn a_torn_tail_is_cut_at_the_last_good_batch() {
    let io = Faulty::new(7);
    let mut fixture = Fixture::open(io.clone(), Path::new(ROOT), LogConfig::default(), Known::default());
    for n in 0..5 {
        fixture.append(&batch(10, 100, n)).unwrap();
    }
    let size = fixture.log.size_bytes();
    let file = fixture.log.dir().join("00000000000000000000.log");
    io.open(&file, crate::io::Access::Write)
        .and_then(|file| crate::io::File::set_len(&file, size - 5))
        .unwrap();
    io.crash(Crash::Kill);
    for stopped in [Stopped::ProcessDied, Stopped::MachineDied] {
        let mut again = Fixture::open(
            io.clone(),
            Path::new(ROOT),
            LogConfig::default(),
            Known { stopped, ..Known::default() },
        );
        if let Some(damage) = &again.report.damage {
            assert_eq!((damage.offset, damage.in_the_middle), (40, false));
        }
        assert_eq!(again.headers_from(0).len(), 4);
    }
}

#[test]
fn a_damaged_middle_is_reported_by_file_position_and_offset() {
    let io = Faulty::new(7);
    let mut fixture = ten_batches(io.clone(), LogConfig::default());
    let position = fixture.headers_from(0)[..6].iter().map(|header| header.size_bytes() as u64).sum::<u64>();
    let file = fixture.log.dir().join("00000000000000000000.log");
    io.damage(&file, position + 200).unwrap();
    let again = Fixture::open(io, Path::new(ROOT), config(), Known::default());
    let damage = again.report.damage.unwrap();
    assert_eq!((damage.file, damage.position, damage.offset), (file, position, 60));
    assert!(damage.in_the_middle, "sound batches follow");
    assert!(matches!(damage.reason, protocol::batch::BatchError::Crc { .. }));
    assert_eq!(again.log.end_offset(), 60);
    assert!(again.report.cut_bytes > 3_000);
}
