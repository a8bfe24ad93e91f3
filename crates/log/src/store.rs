//! What all logs of one data directory share: the file system, the open files, the memory, the checkpoints.
//!
//! The store does not know the logs; the broker does. It hands out the list of what is on disk at the start
//! and writes what the broker tells it about all of them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::buffers::Buffers;
use crate::checkpoint::{self, Offsets};
use crate::handles::Handles;
use crate::io::{Access, File, Io, read_file, replace_file};
use crate::layout::{self, PARTITION_METADATA};
use crate::recent::{RecentBatches, Resumes};

const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const START_OFFSETS: &str = "log-start-offset-checkpoint";
const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// Kafka's own name, so that its tools and ours agree about what an orderly stop is.
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// Ours: during which run of the machine the data was written.
const BOOT: &str = ".penstock_boot";

/// Bounds of what a store may hold.
#[derive(Clone, Copy, Debug)]
pub struct StoreConfig {
    /// Open files at most, of all logs. Three a busy partition: batches and two indexes.
    pub max_open_files: usize,
    /// Memory for recent batches of all logs; 0 turns it off.
    pub recent_bytes: usize,
    /// Memory kept for reads when none is in progress.
    pub idle_buffer_bytes: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            // Well below the usual limit of 1024 descriptors less connections is not possible for a busy
            // broker, so it raises its limit; this leaves 1000 busy partitions with everything open.
            max_open_files: 3000,
            // A second of a gigabit a second: readers further behind than that read the page cache.
            recent_bytes: 16 << 20,
            // Eight reads of 1 MiB at once without touching fresh memory.
            idle_buffer_bytes: 8 << 20,
        }
    }
}

/// An operation on files that failed: which, on what, why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {}", path.display())]
pub struct StorageError {
    step: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl StorageError {
    /// Wraps an error of the operating system.
    pub(crate) fn new(step: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { step, path: path.into(), source }
    }

    /// The same error once more, for another who shared the operation that failed.
    pub(crate) fn again(&self) -> Self {
        let source = match self.source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => self.source.kind().into(),
        };
        Self { step: self.step, path: self.path.clone(), source }
    }

    /// Whether the disk (or the quota) is full: it may get better by itself.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether the file was not there: usually a log that was deleted meanwhile.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// The file or directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The operating system's error.
    pub fn source_kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Adds the step and the path to an error.
pub(crate) trait Step<T> {
    fn step(self, step: &'static str, path: &Path) -> Result<T, StorageError>;
}

impl<T> Step<T> for io::Result<T> {
    fn step(self, step: &'static str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::new(step, path, source))
    }
}

/// A data directory.
#[derive(Debug)]
pub struct Store<I: Io> {
    pub(crate) io: I,
    root: PathBuf,
    pub(crate) handles: Handles<I::File>,
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) recent: RecentBatches,
    pub(crate) resumes: Resumes,
    next_key: AtomicU64,
}

/// A partition that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Id of the topic; `None` when the file that says so is missing or damaged.
    pub topic_id: Option<Uuid>,
}

/// How the last process that wrote a data directory ended. It decides what a start must look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// In an orderly way: everything is on disk and indexed.
    Clean,
    /// It died, but the machine did not: everything it wrote is in the page cache, so at most the last write
    /// is cut short and the memory of the process is lost.
    ProcessDied,
    /// The machine went down: behind the recovery point anything may be missing or torn.
    MachineDied,
}

/// What a data directory says about itself at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// How the last process ended.
    pub stopped: Stopped,
    /// All partitions, in order of topic and number.
    pub partitions: Vec<Found>,
    /// Up to where each log is on disk.
    pub recovery_points: Offsets,
    /// Where each log begins, if not where its first segment does.
    pub start_offsets: Offsets,
    /// What was replicated.
    pub high_watermarks: Offsets,
}

impl Startup {
    /// What is known about one partition before its log is opened.
    pub fn known(&self, topic: &str, partition: i32) -> Known {
        let key = (topic.to_owned(), partition);
        let get = |offsets: &Offsets| offsets.get(&key).copied().unwrap_or(0);
        Known {
            stopped: self.stopped,
            recovery_point: get(&self.recovery_points),
            start_offset: get(&self.start_offsets),
            high_watermark: get(&self.high_watermarks),
        }
    }
}

/// What checkpoints say about one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How the last process ended.
    pub stopped: Stopped,
    /// Everything below is on disk.
    pub recovery_point: i64,
    /// Records below were deleted.
    pub start_offset: i64,
    /// Records below were replicated.
    pub high_watermark: i64,
}

impl Default for Known {
    /// Of a log that nobody knows: everything must be looked at.
    fn default() -> Self {
        Self { stopped: Stopped::MachineDied, recovery_point: 0, start_offset: 0, high_watermark: 0 }
    }
}

/// What the broker says about one log when it writes checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Partition number.
    pub partition: i32,
    /// See [`crate::PartitionLog::recovery_point`].
    pub recovery_point: i64,
    /// See [`crate::PartitionLog::start_offset`].
    pub start_offset: i64,
    /// The broker's high watermark.
    pub high_watermark: i64,
}

impl<I: Io> Store<I> {
    /// Opens a data directory, creating it when missing, and says what is in it. The mark of an orderly stop
    /// is taken away at once: from now on only the next orderly stop sets it again. Directories that wait to
    /// be removed are removed.
    ///
    /// `boot_id` names this run of the machine (on Linux the content of `/proc/sys/kernel/random/boot_id`). When
    /// the data was written during the same run, a crash of the process has lost nothing that it wrote.
    pub fn open(
        io: I,
        root: &Path,
        config: StoreConfig,
        boot_id: &str,
    ) -> Result<(Arc<Self>, Startup), StorageError> {
        io.create_dir(root).step("create", root)?;
        let mut startup = Startup {
            stopped: Stopped::MachineDied,
            partitions: Vec::new(),
            recovery_points: Offsets::new(),
            start_offsets: Offsets::new(),
            high_watermarks: Offsets::new(),
        };
        let boot_path = root.join(BOOT);
        if read_file(&io, &boot_path)
            .step("read", &boot_path)?
            .is_some_and(|known| known == boot_id.as_bytes())
        {
            startup.stopped = Stopped::ProcessDied;
        }
        for entry in io.list(root).step("list", root)? {
            let path = root.join(&entry.name);
            if entry.is_dir && entry.name.ends_with(layout::DELETED_DIR_SUFFIX) {
                io.remove_dir(&path).step("remove", &path)?;
            } else if entry.is_dir
                && let Some((topic, partition)) = layout::parse_partition_dir(&entry.name)
            {
                let topic_id = read_topic_id(&io, &path)?;
                startup.partitions.push(Found { topic: topic.to_owned(), partition, topic_id });
            } else if entry.name == CLEAN_SHUTDOWN {
                startup.stopped = Stopped::Clean;
            }
        }
        startup.partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        if startup.stopped == Stopped::Clean {
            let mark = root.join(CLEAN_SHUTDOWN);
            io.remove_file(&mark).step("remove", &mark)?;
            io.sync_dir(root).step("sync", root)?;
        }
        replace_file(&io, &boot_path, boot_id.as_bytes()).step("write", &boot_path)?;
        startup.recovery_points = read_offsets(&io, &root.join(RECOVERY_POINTS))?;
        startup.start_offsets = read_offsets(&io, &root.join(START_OFFSETS))?;
        startup.high_watermarks = read_offsets(&io, &root.join(HIGH_WATERMARKS))?;
        let store = Self {
            io,
            root: root.to_owned(),
            handles: Handles::new(config.max_open_files),
            buffers: Buffers::new(config.idle_buffer_bytes),
            recent: RecentBatches::new(config.recent_bytes),
            resumes: Resumes::new(),
            next_key: AtomicU64::new(0),
        };
        Ok((Arc::new(store), startup))
    }

    /// The data directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Directory of a partition.
    pub(crate) fn partition_dir(&self, topic: &str, partition: i32) -> PathBuf {
        self.root.join(layout::partition_dir(topic, partition))
    }

    /// Replaces all three checkpoint files. A log that is left out will be scanned from its beginning after
    /// a crash.
    pub fn write_checkpoints(&self, checkpoints: &[Checkpoint<'_>]) -> Result<(), StorageError> {
        type Field = fn(&Checkpoint<'_>) -> i64;
        let files: [(&str, Field); 3] = [
            (RECOVERY_POINTS, |checkpoint| checkpoint.recovery_point),
            (START_OFFSETS, |checkpoint| checkpoint.start_offset),
            (HIGH_WATERMARKS, |checkpoint| checkpoint.high_watermark),
        ];
        for (name, field) in files {
            let lines = checkpoints.iter().map(|c| (c.topic, c.partition, field(c)));
            let path = self.root.join(name);
            replace_file(&self.io, &path, checkpoint::encode(lines).as_bytes()).step("write", &path)?;
        }
        Ok(())
    }

    /// Marks an orderly stop: every log was closed and the checkpoints are written. To be called last.
    pub fn mark_clean(&self) -> Result<(), StorageError> {
        let path = self.root.join(CLEAN_SHUTDOWN);
        replace_file(&self.io, &path, b"{\"version\":0,\"brokerEpoch\":-1}").step("write", &path)
    }

    /// Says that what this process wrote may not be what is in the files (a sync failed, after which the kernel
    /// may have dropped pages): the next start must not trust the page cache.
    pub fn distrust(&self) -> Result<(), StorageError> {
        let path = self.root.join(BOOT);
        match self.io.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StorageError::new("remove", path, error))
            }
            _ => Ok(()),
        }
    }

    /// Makes everything durable that was written so far, whichever log it belongs to; `false` where the file
    /// system cannot do that. See [`crate::Flush::write_only`].
    pub fn sync_all(&self) -> Result<bool, StorageError> {
        let synced = self.io.sync_all(&self.root).step("sync", &self.root);
        if synced.is_err() {
            // As after any failed sync: what is on the disk is unknown, and the next start must look.
            let _ = self.distrust();
        }
        synced
    }

    /// Closes files that were not used since the previous call, and returns how many stay open. Called every
    /// few seconds, it lets idle logs hold no file.
    pub fn close_unused_files(&self) -> usize {
        self.handles.close_unused()
    }

    /// Gives idle memory back: read buffers and recent batches.
    pub fn release_memory(&self) {
        self.buffers.clear();
        self.recent.clear();
    }

    /// Files open now.
    pub fn open_files(&self) -> usize {
        self.handles.open_files()
    }

    /// Memory held by recent batches now.
    pub fn recent_bytes(&self) -> usize {
        self.recent.bytes()
    }

    /// A key under which one state of one log is known to the shared caches.
    pub(crate) fn new_key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }
}

fn read_offsets<I: Io>(io: &I, path: &Path) -> Result<Offsets, StorageError> {
    let content = read_file(io, path).step("read", path)?;
    Ok(content.and_then(|content| checkpoint::decode(&content)).unwrap_or_default())
}

fn read_topic_id<I: Io>(io: &I, dir: &Path) -> Result<Option<Uuid>, StorageError> {
    let path = dir.join(PARTITION_METADATA);
    let content = read_file(io, &path).step("read", &path)?;
    Ok(content.and_then(|content| parse_metadata(std::str::from_utf8(&content).ok()?)))
}

/// Writes the file that says which topic a directory belongs to, without syncing it: the first flush of the log
/// does. One that a crash left empty says nothing, and the directory's name does.
pub(crate) fn write_topic_id<I: Io>(io: &I, dir: &Path, topic_id: Uuid) -> Result<(), StorageError> {
    let path = dir.join(PARTITION_METADATA);
    let content = format!("version: 0\ntopic_id: {}", base64url(topic_id));
    let write = || {
        let file = io.open(&path, Access::Write)?;
        file.set_len(0)?;
        file.write_bytes_at(content.as_bytes(), 0)
    };
    write().step("write", &path)
}

/// Makes durable that a directory exists and which topic it belongs to.
pub(crate) fn sync_new_dir<I: Io>(io: &I, root: &Path, dir: &Path) -> Result<(), StorageError> {
    let path = dir.join(PARTITION_METADATA);
    let sync = || io.open(&path, Access::Read)?.sync();
    sync().step("sync", &path)?;
    io.sync_dir(root).step("sync", root)
}

fn parse_metadata(content: &str) -> Option<Uuid> {
    let line = content.lines().find_map(|line| line.strip_prefix("topic_id:"))?;
    from_base64url(line.trim())
}

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Kafka writes topic ids as 22 characters of base64 without padding.
fn base64url(id: Uuid) -> String {
    let bits = id.as_u128();
    // 128 bits are 21 full characters and 2 bits, which stand at the top of the last one.
    (0..22)
        .map(|n| {
            let sextet = if n < 21 { bits >> (122 - 6 * n) } else { bits << 4 };
            char::from(BASE64URL[(sextet & 0x3f) as usize])
        })
        .collect()
}

fn from_base64url(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits = 0u128;
    for (n, byte) in text.bytes().enumerate() {
        let sextet = BASE64URL.iter().position(|known| *known == byte)? as u128;
        bits = if n < 21 { bits << 6 | sextet } else { bits << 2 | sextet >> 4 };
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Memory;

    #[test]
    fn topic_ids_are_written_as_kafka_does() {
        // Kafka's id of the metadata topic, printed by its own tools as this text.
        assert_eq!(base64url(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        assert_eq!(base64url(id), "ASNFZ4mrze_-3LqYdlQyEA");
        assert_eq!(from_base64url(&base64url(id)), Some(id));
        assert_eq!(from_base64url("ASNFZ4mrze_-3LqYdlQyE"), None);
        assert_eq!(from_base64url("ASNFZ4mrze_-3LqYdlQy!A"), None);
    }

    #[test]
    fn a_start_finds_what_the_stop_wrote() {
        let io = Memory::default();
        let root = Path::new("/data");
        let open = |boot| Store::open(io.clone(), root, StoreConfig::default(), boot).unwrap();
        let (store, startup) = open("boot 1");
        assert_eq!((startup.stopped, startup.partitions.len()), (Stopped::MachineDied, 0));
        let (topic, partition) = ("orders", 3);
        let checkpoint =
            Checkpoint { topic, partition, recovery_point: 30, start_offset: 10, high_watermark: 20 };
        store.write_checkpoints(&[checkpoint]).unwrap();
        store.mark_clean().unwrap();
        io.create_dir(&root.join("orders-3")).unwrap();
        io.create_dir(&root.join("gone-0.1234-delete")).unwrap();
        write_topic_id(&io, &root.join("orders-3"), Uuid::from_u128(7)).unwrap();
        let (_, startup) = open("boot 2");
        let known =
            Known { stopped: Stopped::Clean, recovery_point: 30, start_offset: 10, high_watermark: 20 };
        assert_eq!(startup.known("orders", 3), known);
        let found = Found { topic: topic.to_owned(), partition, topic_id: Some(Uuid::from_u128(7)) };
        assert_eq!(startup.partitions, [found]);
        assert!(!io.list(root).unwrap().iter().any(|entry| entry.name.ends_with("-delete")));
        let (store, startup) = open("boot 2");
        assert_eq!(startup.stopped, Stopped::ProcessDied, "the mark counts once");
        store.distrust().unwrap();
        assert_eq!(open("boot 2").1.stopped, Stopped::MachineDied);
        assert_eq!(open("boot 3").1.stopped, Stopped::MachineDied);
    }
}
