//! Appending: batches are judged and stamped here, and written in runs ([`crate::run`]).
//!
//! The received bytes are shared with the request they came in and are never copied or changed. Of each batch
//! the first 16 bytes (base offset, length, leader epoch) are written from a stamped copy and the rest as it
//! came, all in one vectored write at a known position. Nothing of the log's state changes before that write
//! has succeeded, so a failed append leaves no trace but possibly bytes behind the end, which are cut off
//! before the next attempt and by recovery.

use bytes::{Bytes, BytesMut};
use protocol::ErrorCode;
use protocol::batch::{self, Batch, BatchError, Header, Marker};

use crate::config::TimestampType;
use crate::io::Io;
use crate::log::PartitionLog;
use crate::producers::{ProducerError, Verdict};
use crate::run::{Incoming, Run};
use crate::scan::plausible;
use crate::store::StorageError;

/// After somebody read at the tail, this much of what is appended is kept in memory for the next read. A
/// reader that keeps up renews it with every read; when readers go away, keeping stops by itself.
pub(crate) const TAIL_DEMAND_BYTES: u64 = 4 << 20;

/// Who wrote the batches that a leader appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: sequences and epochs are checked, control batches refused.
    Client,
    /// The broker itself: group and transaction coordinators, transaction markers.
    Coordinator,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Time of the append if the topic's timestamps are that, else -1.
    pub log_append_time_ms: i64,
    /// Where the log begins now.
    pub log_start_offset: i64,
    /// The batch was appended earlier, at these offsets; nothing was written.
    pub duplicate: bool,
    /// Bytes written.
    pub bytes: usize,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The bytes are not sound batches.
    #[error("batch {index} of the append is refused")]
    Batch {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: BatchError,
    },
    /// There is no batch in it.
    #[error("an append without batches")]
    Empty,
    /// A batch above `max.message.bytes`.
    #[error("a batch of {size_bytes} bytes is above the topic's max.message.bytes of {max_bytes}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Timestamps outside the topic's bounds.
    #[error(
        "timestamp {timestamp_ms} is too far from now ({now_ms}) for the topic's message.timestamp.*.max.ms"
    )]
    Timestamp {
        /// The offending one.
        timestamp_ms: i64,
        /// The broker's time.
        now_ms: i64,
    },
    /// More than one batch where a producer id asks for exactly one.
    #[error("an idempotent producer sends one batch a partition, not {batches}")]
    SeveralBatches {
        /// How many there were.
        batches: usize,
    },
    /// Sequence or epoch of the producer.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// A replica got batches that do not follow its log.
    #[error("batches from offset {base_offset} do not follow a log that ends at {end_offset}")]
    Offsets {
        /// First offset received.
        base_offset: i64,
        /// The log's end.
        end_offset: i64,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl AppendError {
    /// What Kafka's protocol calls it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Batch { source, .. } => source.code(),
            Self::Empty | Self::SeveralBatches { .. } => ErrorCode::InvalidRecord,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Timestamp { .. } => ErrorCode::InvalidTimestamp,
            Self::Producer(ProducerError::OutOfOrderSequence { .. }) => ErrorCode::OutOfOrderSequenceNumber,
            Self::Producer(ProducerError::InvalidEpoch { .. }) => ErrorCode::InvalidProducerEpoch,
            Self::Producer(ProducerError::CoordinatorFenced { .. }) => {
                ErrorCode::TransactionCoordinatorFenced
            }
            Self::Offsets { .. } => ErrorCode::UnknownServerError,
            Self::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }

    /// Whether the disk is full: it gets better when space is back, without anybody's help.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_full())
    }
}

/// A request's batches, judged.
enum Judged {
    /// To be written, with their offsets.
    New(Vec<Incoming>),
    /// Written earlier.
    Repeated(AppendInfo),
}

impl<I: Io> PartitionLog<I> {
    /// Appends batches as the leader of `leader_epoch`, giving them the next offsets.
    ///
    /// The caller has validated them ([`protocol::batch::validate`]); here only structure, limits, timestamps
    /// and the producer's sequence are looked at. A batch that was appended before is not appended again: the
    /// answer then carries its original offsets.
    pub fn append_as_leader(
        &mut self,
        batches: &Bytes,
        leader_epoch: i32,
        origin: Origin,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        let answers = self.append_run(std::slice::from_ref(batches), leader_epoch, origin, now_ms);
        answers.into_iter().next().unwrap_or(Err(AppendError::Empty))
    }

    /// Appends what several requests bring, in their order, with as few writes as possible. Each has an answer of its
    /// own, the same as if it had been appended alone, except that what shares a write shares its failure.
    pub fn append_run(
        &mut self,
        requests: &[Bytes],
        leader_epoch: i32,
        origin: Origin,
        now_ms: i64,
    ) -> Vec<Result<AppendInfo, AppendError>> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut run = Run::new(self.end_offset);
        for request in requests {
            let judged = loop {
                if let Some(judged) = self.judge(request, &run, leader_epoch, origin, now_ms).transpose() {
                    break judged;
                }
                self.write_run(&mut run, &mut answers);
            };
            let added = match judged {
                Ok(Judged::New(batches)) => self.add(&mut run, batches, now_ms, &mut answers),
                Ok(Judged::Repeated(info)) => Ok(info),
                Err(error) => Err(error),
            };
            answers.push(added);
        }
        self.write_run(&mut run, &mut answers);
        answers
    }

    /// Adds new batches to a run, which is written before if the segment ends between them. Returns what to say of them
    /// once they are written.
    fn add(
        &mut self,
        run: &mut Run,
        batches: Vec<Incoming>,
        now_ms: i64,
        answers: &mut [Result<AppendInfo, AppendError>],
    ) -> Result<AppendInfo, AppendError> {
        let info = self.info(&batches, now_ms)?;
        if self.rolls_between(run, &batches)? {
            self.write_run(run, answers);
        }
        run.add(batches, answers.len());
        Ok(info)
    }

    /// Judges one request's batches as if `run` were in the log already; `None` if that cannot be said before the run
    /// is written, which an empty run never asks for.
    fn judge(
        &self,
        request: &Bytes,
        run: &Run,
        leader_epoch: i32,
        origin: Origin,
        now_ms: i64,
    ) -> Result<Option<Judged>, AppendError> {
        let append_time_ms = (self.config.timestamp_type == TimestampType::LogAppendTime).then_some(now_ms);
        let mut batches = Vec::with_capacity(1);
        let mut prefixes = BytesMut::new();
        let mut next_offset = run.next_offset();
        for (index, batch) in split(request).enumerate() {
            let (mut header, batch) = batch.map_err(|source| AppendError::Batch { index, source })?;
            self.check_limits(&header, origin, now_ms)?;
            let marker = if header.is_control() { read_marker(&batch) } else { None };
            if header.has_producer() && origin == Origin::Client && batch.len() != request.len() {
                return Err(AppendError::SeveralBatches { batches: split(request).count() });
            }
            let before = if header.has_producer() { run.last_of(header.producer_id) } else { None };
            match before {
                Some(before) if origin == Origin::Client && before.is_followed_by(&header) => {}
                Some(_) => return Ok(None),
                None => {
                    if let Some(original) = self.earlier_append(&header, marker, origin)? {
                        let log_append_time_ms = append_time_ms.unwrap_or(-1);
                        return Ok(Some(Judged::Repeated(AppendInfo { log_append_time_ms, ..original })));
                    }
                }
            }
            header.base_offset = next_offset;
            header.leader_epoch = leader_epoch;
            batches.push(match append_time_ms {
                Some(now_ms) => {
                    header.max_timestamp = now_ms;
                    Incoming::whole(header, marker, restamped(&batch, &header, now_ms))
                }
                None => Incoming::stamped(header, marker, &batch, &mut prefixes),
            });
            next_offset = header.last_offset() + 1;
        }
        Ok(Some(Judged::New(batches)))
    }

    /// What to say of new batches once they are written.
    fn info(&self, batches: &[Incoming], now_ms: i64) -> Result<AppendInfo, AppendError> {
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Err(AppendError::Empty);
        };
        let append_time = self.config.timestamp_type == TimestampType::LogAppendTime;
        Ok(AppendInfo {
            base_offset: first.header.base_offset,
            last_offset: last.header.last_offset(),
            log_append_time_ms: if append_time { now_ms } else { -1 },
            log_start_offset: self.start_offset,
            duplicate: false,
            bytes: batches.iter().map(|batch| batch.header.size_bytes()).sum(),
        })
    }

    /// Appends batches that a leader has numbered, as they are. Each is verified, since a leader's disk or the
    /// network may have damaged it.
    pub fn append_as_follower(&mut self, batches: &Bytes) -> Result<AppendInfo, AppendError> {
        let mut incoming = Vec::with_capacity(1);
        let mut next_offset = self.end_offset;
        for (index, batch) in split(batches).enumerate() {
            let refused = |source| AppendError::Batch { index, source };
            let (header, batch) = batch.map_err(refused)?;
            header.check_crc(&batch).map_err(refused)?;
            if header.base_offset < next_offset {
                return Err(AppendError::Offsets {
                    base_offset: header.base_offset,
                    end_offset: next_offset,
                });
            }
            next_offset = header.last_offset() + 1;
            let marker = if header.is_control() { read_marker(&batch) } else { None };
            incoming.push(Incoming::whole(header, marker, batch));
        }
        // The times are the leader's; this append has none to tell.
        let info = self.info(&incoming, -1)?;
        self.write(incoming)?;
        Ok(info)
    }

    fn check_limits(&self, header: &Header, origin: Origin, now_ms: i64) -> Result<(), AppendError> {
        if origin == Origin::Coordinator {
            return Ok(());
        }
        let (size_bytes, max_bytes) = (header.size_bytes(), self.config.max_message_bytes as usize);
        if size_bytes > max_bytes {
            return Err(AppendError::TooLarge { size_bytes, max_bytes });
        }
        if self.config.timestamp_type == TimestampType::CreateTime {
            let (oldest, newest) = (header.base_timestamp, header.max_timestamp);
            let early =
                self.config.timestamp_before_max_ms.is_some_and(|max| now_ms.saturating_sub(oldest) > max);
            let late =
                self.config.timestamp_after_max_ms.is_some_and(|max| newest.saturating_sub(now_ms) > max);
            // -1 is "no timestamp", which no bound applies to.
            if (early && oldest >= 0) || late {
                return Err(AppendError::Timestamp {
                    timestamp_ms: if late { newest } else { oldest },
                    now_ms,
                });
            }
        }
        Ok(())
    }

    /// Judges a batch by its producer; the offsets of its first append when it is a repetition.
    fn earlier_append(
        &self,
        header: &Header,
        marker: Option<Marker>,
        origin: Origin,
    ) -> Result<Option<AppendInfo>, ProducerError> {
        if !header.has_producer() {
            return Ok(None);
        }
        if let Some(marker) = marker {
            self.producers.judge_marker(header, marker)?;
            return Ok(None);
        }
        if origin != Origin::Client {
            return Ok(None);
        }
        Ok(match self.producers.judge(header)? {
            Verdict::New => None,
            Verdict::Duplicate(original) => Some(AppendInfo {
                base_offset: original.last_offset - i64::from(original.offset_delta),
                last_offset: original.last_offset,
                log_append_time_ms: -1,
                log_start_offset: self.start_offset,
                duplicate: true,
                bytes: 0,
            }),
        })
    }
}

/// The batches in `bytes`, structure checked.
fn split(bytes: &Bytes) -> impl Iterator<Item = Result<(Header, Bytes), BatchError>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &bytes[at..];
        if rest.is_empty() {
            return None;
        }
        let batch =
            Header::parse(rest).and_then(|header| plausible(header, rest.len() as u64)).map(|header| {
                let batch = bytes.slice(at..at + header.size_bytes());
                at += header.size_bytes();
                (header, batch)
            });
        if batch.is_err() {
            at = bytes.len();
        }
        Some(batch)
    })
}

/// A copy of the batch with all stamps, for topics whose timestamps are those of the append.
fn restamped(batch: &Bytes, header: &Header, now_ms: i64) -> Bytes {
    let mut copy = BytesMut::from(&batch[..]);
    batch::stamp(&mut copy, header.base_offset, header.leader_epoch);
    batch::set_log_append_time(&mut copy, now_ms);
    copy.freeze()
}

/// The transaction marker in a batch; `None` in control batches of other kinds, and in all others.
pub(crate) fn read_marker(batch: &Bytes) -> Option<Marker> {
    Marker::read(&Batch::parse(batch).ok()?)
}
