//! What the model tests share: a log on a disk with faults and the lives it goes through, and random numbers.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::io::{Crash, Faulty, Io};
use crate::{
    Checkpoint, Extent, Known, LogConfig, PartitionLog, RecoveryReport, Stopped, StorageError, Store,
    StoreConfig,
};

const ROOT: &str = "/data";
const TOPIC: &str = "t";

/// splitmix64: small, and the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// Runs `test` for each seed of the default range, or of those that `PENSTOCK_LOG_SEEDS=from..to` names. A failure
/// prints its seed.
pub(super) fn for_each_seed(default: Range<u64>, test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let seeds = match std::env::var("PENSTOCK_LOG_SEEDS") {
        Ok(range) => {
            let (from, to) = range.split_once("..").expect("PENSTOCK_LOG_SEEDS=from..to");
            from.parse().unwrap()..to.parse().unwrap()
        }
        Err(_) => default,
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("the model and the log disagree: PENSTOCK_LOG_SEEDS={seed}..{}", seed + 1);
            std::panic::resume_unwind(panic);
        }
    }
}

/// A log, its store and its disk.
pub(super) struct Rig {
    pub(super) io: Faulty,
    pub(super) store: Arc<Store<Faulty>>,
    pub(super) log: PartitionLog<Faulty>,
    config: Arc<LogConfig>,
    boot: u64,
}

/// How a life began.
pub(super) struct Birth {
    pub(super) stopped: Stopped,
    pub(super) report: RecoveryReport,
}

impl Rig {
    pub(super) fn new(seed: u64, config: LogConfig) -> Self {
        let io = Faulty::new(seed ^ 0x5eed);
        let config = Arc::new(config);
        let (store, _, log, _) = open(&io, 0, &config);
        Self { io, store, log, config, boot: 0 }
    }

    /// Stops as a broker does that is told to; an error when something failed on the way.
    pub(super) fn stop(&mut self) -> Result<(), StorageError> {
        if let Some(flush) = self.log.prepare_flush(Extent::Everything)? {
            let flushed = flush.run()?;
            self.log.flushed(&flushed);
        }
        self.write_checkpoints()?;
        self.store.mark_clean()
    }

    /// Ends this life and begins the next one. In between, somebody who tidies up may remove the log's files whose
    /// names end with `lost`.
    pub(super) fn crash(&mut self, crash: Crash, lost: Option<&str>) -> Birth {
        self.io.crash(crash);
        if crash == Crash::PowerLoss {
            self.boot += 1;
        }
        if let Some(suffix) = lost {
            self.lose_files(suffix);
        }
        let (store, known, log, report) = open(&self.io, self.boot, &self.config);
        (self.store, self.log) = (store, log);
        Birth { stopped: known.stopped, report }
    }

    pub(super) fn write_checkpoints(&self) -> Result<(), StorageError> {
        self.store.write_checkpoints(&[Checkpoint {
            topic: TOPIC,
            partition: 0,
            recovery_point: self.log.recovery_point(),
            start_offset: self.log.start_offset(),
            high_watermark: self.log.high_watermark(),
        }])
    }

    fn lose_files(&self, suffix: &str) {
        for entry in self.io.list(self.log.dir()).unwrap_or_default() {
            if entry.name.ends_with(suffix) {
                self.io.remove_file(&self.log.dir().join(entry.name)).unwrap();
            }
        }
    }

    /// Takes back all faults that were asked for, save a planned crash.
    pub(super) fn heal(&self) {
        self.io.set_free_bytes(None);
        self.io.set_short(false);
        self.io.fail_writes(0);
        self.io.fail_reads(0);
        self.io.fail_syncs(0);
    }
}

fn open(
    io: &Faulty,
    boot: u64,
    config: &Arc<LogConfig>,
) -> (Arc<Store<Faulty>>, Known, PartitionLog<Faulty>, RecoveryReport) {
    // Little of everything, so that files are closed and opened again and reads take both ways.
    let bounds = StoreConfig { max_open_files: 3, recent_bytes: 3_000, idle_buffer_bytes: 1 << 16 };
    let (store, startup) = Store::open(io.clone(), Path::new(ROOT), bounds, &boot.to_string()).unwrap();
    let known = startup.known(TOPIC, 0);
    let id = Uuid::from_u128(1);
    let (log, report) = PartitionLog::open(&store, TOPIC, 0, id, config.clone(), known).unwrap();
    (store, known, log, report)
}
