//! Runs: writing several requests together must tell each of them what it would have been told alone.

use std::path::Path;

use bytes::Bytes;

use super::fixture::{Fixture, ROOT, batch, headers, sequenced};
use super::rig::Random;
use crate::io::{Faulty, Memory};
use crate::{AppendError, AppendInfo, Known, LogConfig, Origin, TimestampType};

fn told(answer: &Result<AppendInfo, AppendError>) -> String {
    match answer {
        Ok(info) => format!("{info:?}"),
        Err(error) => format!("{error} {:?}", error.code()),
    }
}

/// What producers may have open at once: batches that follow each other, some of them sent twice, some missing, some of
/// an older or newer epoch, some broken, and some of nobody in particular.
fn requests(random: &mut Random, next: &mut [i32; 3], now_ms: i64) -> Vec<Bytes> {
    let mut requests: Vec<Bytes> = Vec::new();
    for _ in 0..=random.below(6) {
        let producer = random.below(3);
        let sequence = next[producer as usize];
        let records = 1 + random.below(4) as usize;
        requests.push(match random.below(12) {
            0 => batch(records, 30, now_ms + random.below(300) as i64),
            1 => batch(20, 30, now_ms),
            2 => requests.last().cloned().unwrap_or_default(),
            3 => sequenced(producer as i64, 0, sequence + 1, records),
            4 => sequenced(producer as i64, 1, 0, records),
            5 => [sequenced(producer as i64, 0, sequence, 1), batch(1, 5, now_ms)].concat().into(),
            6 => Bytes::from_static(b"no batch at all"),
            _ => {
                next[producer as usize] += records as i32;
                sequenced(producer as i64, 0, sequence, records)
            }
        });
    }
    requests
}

#[test]
fn a_run_tells_and_leaves_what_single_appends_do() {
    let mut shared = 0;
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let config = LogConfig {
            // Small enough that segments end in the middle of runs, by size and by age.
            segment_bytes: 400 + random.below(2_000) as u32,
            segment_ms: 200,
            index_interval_bytes: 100,
            timestamp_type: [TimestampType::CreateTime, TimestampType::LogAppendTime]
                [random.below(2) as usize],
            ..LogConfig::default()
        };
        let open = |io: &Memory| Fixture::open(io.clone(), Path::new(ROOT), config.clone(), Known::default());
        let (one, other) = (Memory::default(), Memory::default());
        let (mut alone, mut together) = (open(&one), open(&other));
        let mut next = [0; 3];
        for step in 0..30 {
            let now_ms = 1_000 + step * 20;
            let requests = requests(&mut random, &mut next, now_ms);
            let expected: Vec<_> = requests
                .iter()
                .map(|request| told(&alone.log.append_as_leader(request, 3, Origin::Client, now_ms)))
                .collect();
            let answers = together.log.append_run(&requests, 3, Origin::Client, now_ms);
            assert_eq!(answers.iter().map(told).collect::<Vec<_>>(), expected, "seed {seed}, step {step}");
            shared += usize::from(answers.iter().flatten().filter(|info| !info.duplicate).count() > 1);
        }
        assert_eq!(headers(&mut alone.log, 0), headers(&mut together.log, 0), "seed {seed}");
        assert_eq!(alone.log.segment_count(), together.log.segment_count(), "seed {seed}");
    }
    assert!(shared > 400, "only {shared} runs had something to share");
}

#[test]
fn what_shares_a_write_shares_its_failure_and_nothing_else() {
    let io = Faulty::new(7);
    let mut fixture = Fixture::open(io.clone(), Path::new(ROOT), LogConfig::default(), Known::default());
    fixture.append(&sequenced(1, 0, 0, 2)).unwrap();
    let requests =
        [sequenced(1, 0, 2, 2), sequenced(1, 0, 9, 2), sequenced(1, 0, 4, 2), sequenced(1, 0, 0, 2)];
    io.fail_writes(1);
    let codes = |answers: &[Result<AppendInfo, AppendError>]| {
        answers
            .iter()
            .map(|answer| match answer {
                Ok(info) => info.base_offset,
                Err(error) => -i64::from(error.code().code()),
            })
            .collect::<Vec<_>>()
    };
    // The second does not follow the first, so the first was written before it was judged, and failed; the others are
    // judged by what is in the log then.
    let answers = fixture.log.append_run(&requests, 0, Origin::Client, 1_000);
    assert_eq!(codes(&answers), [-56, -45, -45, 0]);
    io.fail_writes(1);
    let answers =
        fixture.log.append_run(&[requests[0].clone(), requests[2].clone()], 0, Origin::Client, 1_000);
    assert_eq!(codes(&answers), [-56, -56]);
    // Nothing of it is left, and it can be sent again.
    let answers =
        fixture.log.append_run(&[requests[0].clone(), requests[2].clone()], 0, Origin::Client, 1_000);
    assert_eq!(codes(&answers), [2, 4]);
    assert_eq!(fixture.headers_from(0).len(), 3);
}
