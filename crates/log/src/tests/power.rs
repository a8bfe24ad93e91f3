//! What a loss of power may undo, and what not.

use std::path::Path;

use super::fixture::{Fixture, ROOT, batch};
use crate::io::{Crash, Faulty, Io};
use crate::{Extent, Known, LogConfig, Stopped};

/// Three batches of the tests a segment, an index entry for each but the first.
fn config() -> LogConfig {
    LogConfig { segment_bytes: 1_000, index_interval_bytes: 200, ..LogConfig::default() }
}

fn open(io: &Faulty, known: Known) -> Fixture<Faulty> {
    Fixture::open(io.clone(), Path::new(ROOT), config(), known)
}

/// Batches of three records and about 300 bytes.
fn append(fixture: &mut Fixture<Faulty>, count: usize) {
    for _ in 0..count {
        let timestamp_ms = fixture.log.end_offset() * 10;
        fixture.append(&batch(3, 70, timestamp_ms)).unwrap();
    }
}

fn lose_power(io: &Faulty, known: Known) -> Fixture<Faulty> {
    io.crash(Crash::PowerLoss);
    open(io, Known { stopped: Stopped::MachineDied, ..known })
}

/// The log has every offset up to its end once, and the index of every segment leads to it.
fn assert_sound(fixture: &mut Fixture<Faulty>, context: &str) {
    let (start, end) = (fixture.log.start_offset(), fixture.log.end_offset());
    let mut next = start;
    for header in fixture.headers_from(start) {
        assert_eq!(header.base_offset, next, "{context}");
        next = header.last_offset() + 1;
        let found = fixture.log.offset_for_time(header.max_timestamp).unwrap().map(|found| found.offset);
        assert_eq!(found, Some(header.base_offset), "{context}");
    }
    assert_eq!(next, end, "{context}");
    for offset in start..end {
        let (bytes, _) = super::fixture::read(&mut fixture.log, offset, 1).unwrap().expect(context);
        let header = protocol::batch::Header::parse(&bytes).unwrap();
        assert!((header.base_offset..=header.last_offset()).contains(&offset), "{context}");
    }
    let newest = fixture.log.max_timestamp().unwrap().map(|newest| newest.timestamp_ms);
    assert_eq!(newest, (end > start).then_some((end - 3) * 10), "{context}");
}

#[test]
fn bytes_of_a_failed_append_do_not_come_back_behind_the_last_batch() {
    for seed in 0..40 {
        let io = Faulty::new(seed);
        let mut fixture = open(&io, Known::default());
        append(&mut fixture, 3);
        fixture.checkpoint(Stopped::Clean);
        // Part of it reaches the full segment and is cut off; the same batch then goes into a new one.
        io.fail_writes(1);
        assert!(fixture.append(&batch(1, 20, 100)).is_err());
        append(&mut fixture, 1);
        let killed = seed % 2 == 0;
        if killed {
            let known = fixture.known(Stopped::ProcessDied);
            io.crash(Crash::Kill);
            fixture = open(&io, known);
        }
        let known = fixture.checkpoint(Stopped::MachineDied);
        assert_eq!((known.recovery_point, fixture.log.segment_count()), (12, 2));
        assert_sound(&mut lose_power(&io, known), &format!("seed {seed}"));
    }
}

#[test]
fn an_interrupted_cut_leaves_a_log_without_a_gap() {
    for (seed, changes) in (0..12).flat_map(|seed| (0..24).map(move |changes| (seed, changes))) {
        let io = Faulty::new(seed);
        let mut fixture = open(&io, Known::default());
        append(&mut fixture, 14);
        let known = fixture.checkpoint(Stopped::Clean);
        io.crash_after(changes);
        let is_cut = fixture.log.truncate_to(13).is_ok() && !io.is_down();
        let mut again = lose_power(&io, known);
        let end = again.log.end_offset();
        assert!((12..=42).contains(&end) && (!is_cut || end == 12), "seed {seed}, {changes}: ends at {end}");
        assert_sound(&mut again, &format!("seed {seed}, {changes}"));
        // And it goes on from there.
        append(&mut again, 4);
        let known = again.checkpoint(Stopped::Clean);
        let mut last = lose_power(&io, known);
        assert_eq!(last.log.end_offset(), end + 12);
        assert_sound(&mut last, &format!("seed {seed}, {changes}, went on"));
    }
}

#[test]
fn a_cut_is_for_good_even_if_the_process_is_killed_before_the_next_flush() {
    for seed in 0..40 {
        let io = Faulty::new(seed);
        let mut fixture = open(&io, Known::default());
        append(&mut fixture, 3);
        fixture.checkpoint(Stopped::Clean);
        fixture.log.truncate_to(6).unwrap();
        // A batch that does not fit any more begins a segment where the cut was.
        fixture.append(&batch(3, 250, 60)).unwrap();
        assert_eq!(fixture.log.segment_count(), 2);
        let known = fixture.known(Stopped::ProcessDied);
        io.crash(Crash::Kill);
        let known = open(&io, known).checkpoint(Stopped::MachineDied);
        assert_eq!(known.recovery_point, 9);
        assert_sound(&mut lose_power(&io, known), &format!("seed {seed}"));
    }
}

/// Batches of one size, of which one in the place of another is told apart by nothing but what it says.
fn append_other(fixture: &mut Fixture<Faulty>, count: usize) {
    for _ in 0..count {
        fixture.append(&batch(3, 70, 7)).unwrap();
    }
}

/// Whether batches with the timestamp of `append_other` follow one without.
fn is_mixed(fixture: &mut Fixture<Faulty>, from: i64) -> bool {
    let times: Vec<bool> =
        fixture.headers_from(from).iter().map(|header| header.max_timestamp == 7).collect();
    times.windows(2).any(|pair| pair[0] != pair[1])
}

#[test]
fn a_batch_of_before_an_interrupted_cut_does_not_stand_among_those_of_after_it() {
    for seed in 0..200 {
        let io = Faulty::new(seed);
        let mut fixture = open(&io, Known::default());
        append(&mut fixture, 1);
        let known = fixture.checkpoint(Stopped::ProcessDied);
        append(&mut fixture, 2);
        let flush = fixture.log.prepare_flush(Extent::Batches).unwrap().unwrap();
        flush.run().unwrap();
        // As if it were killed while it waits for the disk.
        io.fail_syncs(1);
        assert!(fixture.log.truncate_to(3).is_err());
        io.crash(Crash::Kill);
        let mut again = open(&io, known);
        append_other(&mut again, 2);
        assert!(!is_mixed(&mut lose_power(&io, known), 3), "seed {seed}");
    }
}

#[test]
fn a_whole_batch_of_a_failed_write_does_not_stand_among_later_ones() {
    for seed in 0..200 {
        let io = Faulty::new(seed);
        let mut fixture = open(&io, Known::default());
        append(&mut fixture, 1);
        let known = fixture.checkpoint(Stopped::MachineDied);
        io.fail_writes(1);
        let two = [batch(3, 70, 30), batch(3, 70, 60)].concat();
        assert!(fixture.append(&two.into()).is_err());
        append_other(&mut fixture, 2);
        assert!(!is_mixed(&mut lose_power(&io, known), 3), "seed {seed}");
    }
}

#[test]
fn indexes_that_were_made_again_are_on_disk() {
    for seed in 0..40 {
        let io = Faulty::new(seed);
        let mut fixture = open(&io, Known::default());
        // The newest record comes first, where only an index of times leads to.
        for n in 0..7 {
            fixture.append(&batch(3, 70, 100 - n)).unwrap();
        }
        let known = fixture.checkpoint(Stopped::MachineDied);
        let dir = fixture.log.dir().to_owned();
        io.remove_file(&dir.join("00000000000000000000.timeindex")).unwrap();
        let mut again = open(&io, known);
        let known = again.checkpoint(Stopped::MachineDied);
        io.sync_dir(&dir).unwrap();
        let newest = lose_power(&io, known).log.max_timestamp().unwrap();
        assert_eq!(newest.map(|newest| newest.offset), Some(0), "seed {seed}");
    }
}

#[test]
fn records_of_before_a_restart_elsewhere_do_not_come_back() {
    for (seed, offset) in (0..20).flat_map(|seed| [(seed, 0), (seed, 1_000)]) {
        let io = Faulty::new(seed);
        let mut fixture = open(&io, Known::default());
        append(&mut fixture, 10);
        fixture.checkpoint(Stopped::Clean);
        fixture.log.restart_at(offset).unwrap();
        let known = fixture.known(Stopped::MachineDied);
        let again = lose_power(&io, known);
        assert_eq!((again.log.start_offset(), again.log.end_offset()), (offset, offset), "seed {seed}");
    }
}

#[test]
fn the_first_batches_after_a_restart_elsewhere_are_as_durable_as_others() {
    let io = Faulty::new(1);
    let mut fixture = open(&io, Known::default());
    append(&mut fixture, 1);
    fixture.log.restart_at(9).unwrap();
    // A flush of nothing but what is known of leaders, before there is a file of batches.
    let known = fixture.checkpoint(Stopped::MachineDied);
    append(&mut fixture, 1);
    let flush = fixture.log.prepare_flush(Extent::Batches).unwrap().unwrap();
    fixture.log.flushed(&flush.run().unwrap());
    let mut again = lose_power(&io, known);
    assert_eq!(again.headers_from(9).len(), 1);
}

#[test]
fn what_recovery_cut_off_does_not_come_back_behind_new_records() {
    for seed in 0..60 {
        let io = Faulty::new(seed);
        let mut fixture = open(&io, Known::default());
        append(&mut fixture, 2);
        let known = fixture.checkpoint(Stopped::Clean);
        append(&mut fixture, 7);
        let flush = fixture.log.prepare_flush(Extent::Batches).unwrap().unwrap();
        fixture.log.flushed(&flush.run().unwrap());
        // The second of what stands behind the recovery point rots away, two segments that are on disk follow.
        let file = fixture.log.dir().join("00000000000000000009.log");
        io.damage(&file, 150).unwrap();
        let mut cut = lose_power(&io, known);
        assert!(cut.report.damage.as_ref().is_some_and(|damage| damage.in_the_middle));
        assert_eq!(cut.log.end_offset(), 9);
        let known = cut.known(Stopped::Clean);
        append(&mut cut, 6);
        let mut again = lose_power(&io, known);
        assert!((9..=27).contains(&again.log.end_offset()));
        let newest = again.log.max_timestamp().unwrap().unwrap().offset;
        assert_eq!(newest, again.log.end_offset() - 3, "seed {seed}");
        assert_sound(&mut again, &format!("seed {seed}"));
    }
}

#[test]
fn a_log_that_retention_emptied_goes_on_where_it_ended() {
    for (seed, crash) in (0..20).flat_map(|seed| [(seed, Crash::Kill), (seed, Crash::PowerLoss)]) {
        let io = Faulty::new(seed);
        let mut fixture = open(&io, Known::default());
        append(&mut fixture, 7);
        let known = fixture.checkpoint(Stopped::ProcessDied);
        fixture.log.retain(i64::MAX).unwrap().remove().unwrap();
        assert_eq!((fixture.log.start_offset(), fixture.log.size_bytes()), (21, 0));
        // The checkpoints of before are all that a start knows.
        io.crash(crash);
        let stopped = if crash == Crash::Kill { Stopped::ProcessDied } else { Stopped::MachineDied };
        let again = open(&io, Known { stopped, ..known });
        assert_eq!(again.log.end_offset(), 21, "seed {seed}, {crash:?}");
        assert!(again.report.damage.is_none());
    }
}

#[test]
fn a_directory_without_batches_is_not_flushed() {
    let io = Faulty::new(1);
    let mut fixture = open(&io, Known::default());
    io.create_dir(fixture.log.dir()).unwrap();
    fixture = open(&io, Known { stopped: Stopped::ProcessDied, ..Known::default() });
    fixture.log.begin_epoch(3);
    assert!(fixture.log.prepare_flush(Extent::Everything).unwrap().is_none(), "nothing is there to sync");
    append(&mut fixture, 1);
    let known = fixture.checkpoint(Stopped::MachineDied);
    assert_eq!(lose_power(&io, known).log.end_offset(), 3);
}
