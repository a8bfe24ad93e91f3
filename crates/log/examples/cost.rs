//! What the log itself costs, without network and protocol: run with
//! `cargo run --release -p log --example cost -- DIR [GIGABYTES]` on the disk in question.
//!
//! The figures check the cost model that the broker is built on: an append is one system call and a copy into
//! the page cache, a read is one copy out of it, and an idle log is about a kilobyte. Appends and reads are given in
//! CPU time, so that a busy machine does not spoil them; what waits for the disk is given in elapsed time.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures durations, at the edge of a process")]
#![expect(clippy::unwrap_used, reason = "it has nothing to do but stop when something fails")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use log::io::Disk;
use log::{Extent, Known, LogConfig, Origin, PartitionLog, Read, Store, StoreConfig};
use protocol::batch::{Builder, Compression};
use uuid::Uuid;

const GB: f64 = 1e9;
const IDLE_LOGS: i32 = 20_000;

fn batch(bytes: usize) -> Bytes {
    let mut builder = Builder::new(Compression::None);
    let value = vec![b'v'; bytes.min(1_000)];
    while builder.size_bytes() < bytes {
        builder.push(1, None, Some(&value), &[]);
    }
    builder.build().unwrap().freeze()
}

fn open(store: &Arc<Store<Disk>>, topic: &str, partition: i32) -> PartitionLog<Disk> {
    let id = Uuid::from_u128(1);
    PartitionLog::open(store, topic, partition, id, Arc::new(LogConfig::default()), Known::default())
        .unwrap()
        .0
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// CPU time of this thread so far, in nanoseconds.
fn cpu_ns() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    schedstat.split(' ').next().unwrap().parse().unwrap()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().expect("a directory to write to"));
    let gigabytes: f64 = arguments.next().map_or(1.0, |text| text.parse().unwrap());
    let (store, _) = Store::open(Disk, &dir, StoreConfig::default(), "boot").unwrap();

    for size in [200, 1_000, 16_000, 1_000_000] {
        let mut log = open(&store, &format!("append{size}"), 0);
        let batch = batch(size);
        let total = (gigabytes * GB).min(size as f64 * 1e6) as usize;
        let count = total / batch.len();
        let start = cpu_ns();
        for _ in 0..count {
            log.append_as_leader(&batch, 0, Origin::Client, 1).unwrap();
        }
        let spent = cpu_ns() - start;
        let written = (count * batch.len()) as f64;
        println!(
            "append {:>9} B: {:>8.0} ns a batch, {:.2} CPU-s a GB",
            batch.len(),
            spent / count as f64,
            spent / written
        );
        let start = cpu_ns();
        let (mut offset, mut read) = (0, 0);
        while let Read::File(range) = log.read(offset, 1 << 20, i64::MAX, true).unwrap() {
            let loaded = range.load().unwrap();
            read += loaded.bytes.len();
            offset = loaded.next_offset.unwrap();
        }
        println!("  read back: {:.3} CPU-s a GB", (cpu_ns() - start) / read as f64);
        let start = Instant::now();
        let flush = log.prepare_flush(Extent::Everything).unwrap().unwrap();
        let locked = start.elapsed();
        log.flushed(&flush.run().unwrap());
        println!("  checkpoint: {locked:.0?} under the lock, {:.0?} in all", start.elapsed());
        let start = Instant::now();
        let known = Known {
            stopped: log::Stopped::ProcessDied,
            recovery_point: log.recovery_point(),
            ..Known::default()
        };
        let config = Arc::new(LogConfig::default());
        PartitionLog::open(&store, &format!("append{size}"), 0, Uuid::from_u128(1), config, known).unwrap();
        println!("  opened after a kill in {:.0?}", start.elapsed());
        log.delete("cost").unwrap().remove().unwrap();
    }

    let before = resident_bytes();
    let config = Arc::new(LogConfig::default());
    let mut logs = Vec::new();
    let start = Instant::now();
    for partition in 0..IDLE_LOGS {
        let id = Uuid::from_u128(2);
        let mut log =
            PartitionLog::open(&store, "idle", partition, id, config.clone(), Known::default()).unwrap().0;
        if partition % 10 == 0 {
            log.append_as_leader(&batch(200), 0, Origin::Client, 1).unwrap();
        }
        logs.push(log);
    }
    println!("{IDLE_LOGS} logs, a tenth of them written to, in {:.0?}", start.elapsed());
    store.close_unused_files();
    store.close_unused_files();
    let grown = resident_bytes() - before;
    println!("  {} bytes each, {} open files", grown / IDLE_LOGS as u64, store.open_files());
    for log in logs {
        log.delete("cost").unwrap().remove().unwrap();
    }
}
