//! One partition: its log behind a lock, who waits for it, and what may be acknowledged when.
//!
//! The lock is held for an append (a copy into the page cache), for planning a read, or for a lookup in an index; never
//! while waiting for the disk. A partition that nobody touches is this struct and nothing else: its log is opened at the
//! first use, and one that was never written has no directory.

mod lookup;
mod storage;
mod upkeep;
mod waiters;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use log::io::Disk;
use log::{AppendInfo, Extent, Known, LogConfig, Origin, PartitionLog, Read, StorageError};
use protocol::{ErrorCode, Str};
use uuid::Uuid;

pub use lookup::Timed;
pub(crate) use storage::chain;
pub use storage::{MAX_OPEN_FILES, Storage};
pub use waiters::Waiter;
use waiters::Waiters;

use crate::config::TopicConfig;
use crate::config::topic::Durability;
use crate::durable::Durable;
use crate::flush::Target;

/// Where a log begins and ends, and up to where consumers may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// First offset that can be read.
    pub start: i64,
    /// Below this consumers may read.
    pub high_watermark: i64,
    /// Below this consumers of committed records may read.
    pub last_stable: i64,
    /// Offset of the next record.
    pub end: i64,
}

/// What became of an append.
#[derive(Debug)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// How many records there were; 0 if they were there already.
    pub records: i64,
    /// Time of the append if the topic's timestamps are that, else -1.
    pub log_append_time_ms: i64,
    /// Where the log begins.
    pub log_start_offset: i64,
    /// What to wait for before acknowledging.
    pub durable: Durable,
}

/// Why a partition refused something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What clients are told.
    pub code: ErrorCode,
    /// The same in words, where words help.
    pub message: Option<String>,
    /// Which records of the batch were the reason, if some were. Producers then fail those and send the others again.
    pub records: Vec<i32>,
}

impl Refusal {
    /// A refusal in words.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: Some(message.into()), records: Vec::new() }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal { code, message: None, records: Vec::new() }
    }
}

/// A part of a segment file that an answer sends while the socket takes it.
#[derive(Debug)]
pub struct FileRange {
    range: log::FileRange<Disk>,
    sent: usize,
}

impl FileRange {
    /// How many bytes are left to send.
    #[must_use]
    pub fn len(&self) -> usize {
        self.range.len() - self.sent
    }

    /// Whether all was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file, for moving the bytes without reading them.
    #[must_use]
    pub fn file(&self) -> &std::fs::File {
        self.range.file()
    }

    /// Where in the file the bytes that are left begin.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.range.position() + self.sent as u64
    }

    /// Reads the next bytes; fills the buffer, which must not be longer than what is left.
    ///
    /// # Errors
    /// If the file cannot be read or ends early.
    pub fn read_front(&self, buffer: &mut [u8]) -> io::Result<()> {
        let read = self.range.read_at(buffer, self.sent)?;
        if read == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Notes that bytes were sent.
    pub fn advance(&mut self, bytes: usize) {
        self.sent = (self.sent + bytes).min(self.range.len());
    }
}

/// What a read found.
#[derive(Debug)]
pub enum Found {
    /// Nothing to read yet, or nothing that fits.
    Nothing,
    /// Batches that were appended a moment ago.
    Memory(Vec<Bytes>),
    /// Batches in a file.
    File(FileRange),
}

impl Found {
    /// How many bytes were found.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Found::Nothing => 0,
            Found::Memory(slices) => slices.iter().map(Bytes::len).sum(),
            Found::File(range) => range.len(),
        }
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

enum Slot {
    /// Not used since the start, or since the files were given up.
    Closed(Known),
    Open(Box<PartitionLog<Disk>>),
    /// Could not be opened; the reason was logged.
    Offline,
    /// Deleted.
    Gone,
}

struct State {
    slot: Slot,
    config: Arc<LogConfig>,
    durability: Durability,
    flush_messages: i64,
    unflushed_records: i64,
    waiters: Waiters,
}

/// A partition that this broker leads.
pub struct Partition {
    topic: Str,
    topic_id: Uuid,
    index: i32,
    leader_epoch: i32,
    storage: Arc<Storage>,
    state: Mutex<State>,
}

impl Partition {
    /// A partition whose log is not opened yet.
    #[must_use]
    pub fn new(
        topic: Str,
        topic_id: Uuid,
        index: i32,
        leader_epoch: i32,
        settings: &TopicConfig,
        config: Arc<LogConfig>,
        storage: Arc<Storage>,
    ) -> Partition {
        let state = State {
            slot: Slot::Closed(Storage::nothing_known()),
            config,
            durability: settings.durability,
            flush_messages: settings.flush_messages,
            unflushed_records: 0,
            waiters: Waiters::default(),
        };
        Partition { topic, topic_id, index, leader_epoch, storage, state: Mutex::new(state) }
    }

    /// Its number.
    #[must_use]
    pub fn index(&self) -> i32 {
        self.index
    }

    /// Name of its topic.
    #[must_use]
    pub fn topic(&self) -> &Str {
        &self.topic
    }

    /// The epoch in which this broker leads it.
    #[must_use]
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// Compares a client's idea of the leader epoch with ours; negative means it has none.
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH if the client is behind, UNKNOWN_LEADER_EPOCH if we are.
    pub fn check_epoch(&self, claimed: i32) -> Result<(), ErrorCode> {
        match claimed {
            epoch if epoch < 0 || epoch == self.leader_epoch => Ok(()),
            epoch if epoch < self.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
            _ => Err(ErrorCode::UnknownLeaderEpoch),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The log changes its state only after a write succeeded, so what a panic leaves behind is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the log if it is not, and lets `work` use it.
    fn with_log<T>(
        &self,
        state: &mut State,
        work: impl FnOnce(&mut PartitionLog<Disk>) -> T,
    ) -> Result<T, ErrorCode> {
        if let Slot::Closed(known) = state.slot {
            state.slot = self.open(known, &state.config);
        }
        match &mut state.slot {
            Slot::Open(log) => Ok(work(log)),
            Slot::Closed(_) | Slot::Offline => Err(ErrorCode::KafkaStorageError),
            Slot::Gone => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    fn open(&self, known: Known, config: &Arc<LogConfig>) -> Slot {
        let opened = PartitionLog::open(
            &self.storage.store,
            &self.topic,
            self.index,
            self.topic_id,
            Arc::clone(config),
            known,
        );
        match opened {
            Ok((mut log, report)) => {
                upkeep::say(self, &report);
                // One replica: whatever is in the log is committed.
                log.set_high_watermark(log.end_offset());
                Slot::Open(Box::new(log))
            }
            Err(error) => {
                self.storage.metrics.offline_partitions.inc();
                tracing::error!(topic.name = %self.topic, partition = self.index, error = %chain(&error),
                    "a log could not be opened; the partition is offline until the next start");
                Slot::Offline
            }
        }
    }

    /// Appends batches that a client or a coordinator sent.
    ///
    /// # Errors
    /// What clients are told; nothing was appended then.
    pub fn append(
        self: &Arc<Self>,
        batches: &Bytes,
        origin: Origin,
        now_ms: i64,
    ) -> Result<Appended, Refusal> {
        let mut answer = None;
        self.append_run(std::slice::from_ref(batches), origin, now_ms, |appended| answer = Some(appended));
        answer.unwrap_or(Err(Refusal::from(ErrorCode::UnknownServerError)))
    }

    /// Appends what several requests bring, in their order and with as few writes as possible; tells what became of
    /// each, in the same order.
    pub fn append_run(
        self: &Arc<Self>,
        requests: &[Bytes],
        origin: Origin,
        now_ms: i64,
        mut tell: impl FnMut(Result<Appended, Refusal>),
    ) {
        let mut state = self.lock();
        let epoch = self.leader_epoch;
        let appended = self.with_log(&mut state, |log| log.append_run(requests, epoch, origin, now_ms));
        let appended = match appended {
            Ok(appended) => appended,
            Err(code) => return requests.iter().for_each(|_| tell(Err(Refusal::from(code)))),
        };
        let records =
            |info: &AppendInfo| if info.duplicate { 0 } else { info.last_offset - info.base_offset + 1 };
        state.unflushed_records += appended.iter().flatten().map(records).sum::<i64>();
        let flush = state.durability == Durability::Fsync || state.unflushed_records >= state.flush_messages;
        if flush {
            state.unflushed_records = 0;
        }
        // What must be on the disk before it is acknowledged must be there before it is read, too: a consumer must not
        // see what a loss of power takes back. The flush moves the high watermark then.
        if state.durability == Durability::PageCache && appended.iter().any(Result::is_ok) {
            self.publish(&mut state);
        }
        drop(state);
        for result in appended {
            tell(match result {
                Ok(info) => {
                    self.storage.write_succeeded();
                    Ok(Appended {
                        base_offset: info.base_offset,
                        records: records(&info),
                        log_append_time_ms: info.log_append_time_ms,
                        log_start_offset: info.log_start_offset,
                        durable: if flush { self.flush() } else { Durable::already() },
                    })
                }
                Err(log::AppendError::Storage(error)) => {
                    Err(Refusal::new(self.storage.write_failed(&error), chain(&error)))
                }
                Err(error) => Err(Refusal::new(error.code(), chain(&error))),
            });
        }
    }

    /// Has everything that was appended put on the disk.
    fn flush(self: &Arc<Self>) -> Durable {
        self.storage.flusher.flush(Arc::clone(self) as Arc<dyn Target>)
    }

    /// Lets consumers read up to the end of the log.
    fn publish(&self, state: &mut State) {
        if let Slot::Open(log) = &mut state.slot {
            log.set_high_watermark(log.end_offset());
        }
        state.waiters.wake();
    }

    /// Plans a read from `offset`. `committed` asks for nothing behind the last stable offset; with `min_one` the first
    /// batch is found even if it alone is longer than `max_bytes`. If nothing is found, `waiter` is woken by the next
    /// append.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE, or what the disk demands.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        min_one: bool,
        committed: bool,
        waiter: Option<&Arc<Waiter>>,
    ) -> Result<(Found, Offsets), (ErrorCode, Offsets)> {
        let mut state = self.lock();
        let planned = self.with_log(&mut state, |log| {
            let offsets = offsets(log);
            let upper = if committed { offsets.last_stable } else { offsets.high_watermark };
            (log.read(offset, max_bytes, upper, min_one), offsets)
        });
        let (read, offsets) = planned.map_err(|code| (code, Offsets::default()))?;
        let found = match read {
            Ok(Read::Empty) => Found::Nothing,
            Ok(Read::Memory { slices, .. }) => Found::Memory(slices),
            Ok(Read::File(range)) => Found::File(FileRange { range, sent: 0 }),
            Err(error) => {
                if let log::ReadError::Storage(source) = &error {
                    tracing::error!(topic.name = %self.topic, partition = self.index, error = %chain(source),
                        "a log could not be read");
                }
                return Err((error.code(), offsets));
            }
        };
        if let Some(waiter) = waiter {
            state.waiters.add(waiter);
        }
        Ok((found, offsets))
    }

    /// Where the log begins and ends.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn offsets(&self) -> Result<Offsets, ErrorCode> {
        self.with_log(&mut self.lock(), |log| offsets(log))
    }

    /// Lets `work` use the log under the lock: for lookups that have no method of their own here.
    ///
    /// # Errors
    /// If the log cannot be opened.
    pub(crate) fn inspect<T>(&self, work: impl FnOnce(&mut PartitionLog<Disk>) -> T) -> Result<T, ErrorCode> {
        self.with_log(&mut self.lock(), work)
    }

    fn sync_extent(&self, extent: Extent) -> Result<(), StorageError> {
        let prepared = {
            let mut state = self.lock();
            let Slot::Open(log) = &mut state.slot else { return Ok(()) };
            log.prepare_flush(extent)?
        };
        let flushed = match prepared.map(|flush| flush.run()) {
            Some(Ok(flushed)) => Some(flushed),
            // Deleted meanwhile, and its files with it: nobody waits for them any more.
            Some(Err(error)) if error.is_missing() && matches!(self.lock().slot, Slot::Gone) => None,
            Some(Err(error)) => return Err(error),
            None => None,
        };
        let mut state = self.lock();
        if let (Slot::Open(log), Some(flushed)) = (&mut state.slot, &flushed) {
            log.flushed(flushed);
        }
        if state.durability == Durability::Fsync
            && let Slot::Open(log) = &mut state.slot
        {
            log.set_high_watermark(log.durable_offset());
            state.waiters.wake();
        }
        Ok(())
    }
}

impl Target for Partition {
    fn sync(&self) -> io::Result<()> {
        self.sync_extent(Extent::Batches).map_err(|error| {
            self.storage.fail(&error);
            io::Error::other(chain(&error))
        })
    }
}

fn offsets(log: &PartitionLog<Disk>) -> Offsets {
    Offsets {
        start: log.start_offset(),
        high_watermark: log.high_watermark(),
        last_stable: log.last_stable_offset(),
        end: log.end_offset(),
    }
}
