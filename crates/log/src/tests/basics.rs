//! Append, read, roll, close, open.

use std::path::Path;

use super::fixture::{Fixture, ROOT, batch, read, sequenced};
use crate::io::{Disk, Io, Memory};
use crate::{AppendError, Known, LogConfig, ProducerError, Read, ReadError, Stopped};

fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 4_000, index_interval_bytes: 300, ..LogConfig::default() }
}

fn goes_through_a_life<I: Io + Clone>(io: I, root: &Path) {
    let mut fixture = Fixture::open(io.clone(), root, small_segments(), Known::default());
    assert!(io.list(&root.join("orders-0")).is_err(), "an unwritten log costs nothing on disk");
    for n in 0..60_i64 {
        let info = fixture.append(&batch(1 + n as usize % 5, 90, n)).unwrap();
        assert_eq!(info.last_offset + 1, fixture.log.end_offset());
    }
    let headers = fixture.headers_from(0);
    assert_eq!(headers.len(), 60);
    assert!(fixture.log.segment_count() > 3);
    for offset in 0..fixture.log.end_offset() {
        let (bytes, next) = read(&mut fixture.log, offset, 1).unwrap().unwrap();
        let header = protocol::batch::Header::parse(&bytes).unwrap();
        assert_eq!((header.size_bytes(), header.last_offset() + 1), (bytes.len(), next));
        assert!((header.base_offset..next).contains(&offset), "the covering batch");
    }
    let known = fixture.checkpoint(Stopped::Clean);
    let end = fixture.log.end_offset();
    fixture.log.close().unwrap();
    assert_eq!(fixture.store.open_files(), 0);
    for stopped in [Stopped::Clean, Stopped::ProcessDied, Stopped::MachineDied] {
        let mut again = Fixture::open(io.clone(), root, small_segments(), Known { stopped, ..known });
        assert!(again.report.damage.is_none());
        assert_eq!((again.log.end_offset(), again.log.start_offset()), (end, 0));
        assert_eq!(again.headers_from(0), headers);
    }
    let mut from_nothing = Fixture::open(io, root, small_segments(), Known::default());
    assert_eq!(from_nothing.report.scanned_bytes, from_nothing.log.size_bytes());
    assert_eq!(from_nothing.headers_from(0), headers);
}

#[test]
fn goes_through_a_life_in_memory() {
    goes_through_a_life(Memory::default(), Path::new(ROOT));
}

#[test]
fn goes_through_a_life_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    goes_through_a_life(Disk, dir.path());
}

#[test]
fn reads_respect_limits_and_ends() {
    let mut fixture =
        Fixture::open(Memory::default(), Path::new(ROOT), LogConfig::default(), Known::default());
    for n in 0..10 {
        fixture.append(&batch(10, 100, n)).unwrap();
    }
    let log = &mut fixture.log;
    assert!(matches!(log.read(100, 1000, i64::MAX, true), Ok(Read::Empty)));
    assert!(matches!(log.read(101, 1000, i64::MAX, true), Err(ReadError::OutOfRange { .. })));
    assert!(matches!(log.read(-1, 1000, i64::MAX, true), Err(ReadError::OutOfRange { .. })));
    assert!(matches!(log.read(5, 100, i64::MAX, false), Ok(Read::Empty)));
    assert!(matches!(log.read(50, 1 << 20, 50, true), Ok(Read::Empty)));
    let Ok(Read::File(range)) = log.read(35, 1 << 20, 70, true) else { panic!("a range") };
    assert_eq!(range.load().unwrap().next_offset, Some(70));
    let mut streamed = vec![0; 100_000];
    let length = range.read_at(&mut streamed, 0).unwrap();
    assert_eq!(length, range.len());
    assert_eq!(&streamed[..length], &range.load().unwrap().bytes[..]);
}

#[test]
fn what_readers_at_the_tail_wait_for_stays_in_memory() {
    let mut fixture =
        Fixture::open(Memory::default(), Path::new(ROOT), LogConfig::default(), Known::default());
    fixture.append(&batch(1, 100, 1)).unwrap();
    assert_eq!(fixture.store.recent_bytes(), 0, "nobody reads");
    assert!(matches!(fixture.log.read(1, 1000, i64::MAX, true), Ok(Read::Empty)));
    fixture.append(&batch(1, 100, 2)).unwrap();
    fixture.append(&batch(1, 100, 3)).unwrap();
    match fixture.log.read(1, 10_000, i64::MAX, true) {
        Ok(Read::Memory { next_offset: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn producers_survive_a_restart() {
    let io = Memory::default();
    let mut fixture = Fixture::open(io.clone(), Path::new(ROOT), small_segments(), Known::default());
    for n in 0..100 {
        fixture.append(&sequenced(7, 0, n * 2, 2)).unwrap();
    }
    let known = fixture.known(Stopped::ProcessDied);
    let checkpoint = fixture.checkpoint(Stopped::MachineDied);
    fixture.append(&sequenced(7, 0, 200, 1)).unwrap();
    for known in [known, checkpoint, Known { stopped: Stopped::ProcessDied, ..checkpoint }] {
        let mut again = Fixture::open(io.clone(), Path::new(ROOT), small_segments(), known);
        let info = again.append(&sequenced(7, 0, 200, 1)).unwrap();
        assert!(info.duplicate);
        assert_eq!((info.base_offset, info.last_offset), (200, 200));
        match again.append(&sequenced(7, 0, 203, 1)) {
            Err(AppendError::Producer(ProducerError::OutOfOrderSequence { last_sequence: 200, .. })) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn jitter_is_drawn_for_each_segment_and_not_taken_off_whole() {
    let config = LogConfig { segment_ms: 1_000_000, segment_jitter_ms: 1_000_000, ..LogConfig::default() };
    let mut fixture = Fixture::open(Memory::default(), Path::new(ROOT), config, Known::default());
    for n in 0..20 {
        fixture.append(&batch(1, 100, n)).unwrap();
    }
    assert_eq!(fixture.log.segment_count(), 1, "records of 20 ms");
    // Old records close their segment, somewhere before the whole time is over.
    fixture.append(&batch(1, 100, 1_000_100)).unwrap();
    assert_eq!(fixture.log.segment_count(), 2);
}
