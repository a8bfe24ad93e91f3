//! A log on some file system, and batches to put into it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use protocol::batch::{Builder, Compression, Header, split};
use uuid::Uuid;

use crate::io::Io;
use crate::{
    AppendError, AppendInfo, Extent, Known, LogConfig, Origin, PartitionLog, Read, ReadError, RecoveryReport,
    Stopped, Store, StoreConfig,
};

pub(crate) const TOPIC: &str = "orders";
pub(crate) const ROOT: &str = "/data";

/// A log with the store it lives in and what a broker would remember of it.
#[derive(Debug)]
pub(crate) struct Fixture<I: Io> {
    pub(crate) store: Arc<Store<I>>,
    pub(crate) log: PartitionLog<I>,
    pub(crate) report: RecoveryReport,
}

impl<I: Io> Fixture<I> {
    pub(crate) fn open(io: I, root: &Path, config: LogConfig, known: Known) -> Self {
        // Little memory for recent batches, so that tests meet both ways to read.
        let bounds = StoreConfig { max_open_files: 4, recent_bytes: 20_000, idle_buffer_bytes: 1 << 20 };
        let (store, _) = Store::open(io, root, bounds, "boot").unwrap();
        let id = Uuid::from_u128(1);
        let (log, report) = PartitionLog::open(&store, TOPIC, 0, id, Arc::new(config), known).unwrap();
        Self { store, log, report }
    }

    pub(crate) fn append(&mut self, batch: &Bytes) -> Result<AppendInfo, AppendError> {
        let info = self.log.append_as_leader(batch, 0, Origin::Client, 1_000)?;
        self.log.set_high_watermark(i64::MAX);
        Ok(info)
    }

    /// Flushes and returns what a broker would know at the next start if that came now.
    pub(crate) fn checkpoint(&mut self, stopped: Stopped) -> Known {
        if let Some(flush) = self.log.prepare_flush(Extent::Everything).unwrap() {
            let flushed = flush.run().unwrap();
            self.log.flushed(&flushed);
        }
        self.known(stopped)
    }

    pub(crate) fn known(&self, stopped: Stopped) -> Known {
        Known {
            stopped,
            recovery_point: self.log.recovery_point(),
            start_offset: self.log.start_offset(),
            high_watermark: self.log.high_watermark(),
        }
    }

    /// Headers of all batches from `offset` on.
    pub(crate) fn headers_from(&mut self, offset: i64) -> Vec<Header> {
        headers(&mut self.log, offset)
    }
}

/// Headers of all batches of a log from `offset` on, each verified.
pub(crate) fn headers<I: Io>(log: &mut PartitionLog<I>, offset: i64) -> Vec<Header> {
    let mut offset = offset.max(log.start_offset());
    let mut headers = Vec::new();
    while let Some((bytes, next_offset)) = read(log, offset, 5_000).unwrap() {
        for batch in split(bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            headers.push(*batch.header());
        }
        offset = next_offset;
    }
    headers
}

/// Reads whole batches and the offset after them; `None` at the end.
pub(crate) fn read<I: Io>(
    log: &mut PartitionLog<I>,
    offset: i64,
    max_bytes: usize,
) -> Result<Option<(Bytes, i64)>, ReadError> {
    Ok(match log.read(offset, max_bytes, i64::MAX, true)? {
        Read::Empty => None,
        Read::Memory { slices, bytes, next_offset } => {
            let joined = slices.concat();
            assert_eq!(joined.len(), bytes);
            Some((Bytes::from(joined), next_offset))
        }
        Read::File(range) => {
            let loaded = range.load().unwrap();
            Some((loaded.bytes, loaded.next_offset.unwrap()))
        }
    })
}

/// A batch of `records` records of about `value_bytes` each, all with this timestamp.
pub(crate) fn batch(records: usize, value_bytes: usize, timestamp_ms: i64) -> Bytes {
    let mut builder = Builder::new(Compression::None);
    let value = vec![b'v'; value_bytes];
    (0..records).for_each(|_| builder.push(timestamp_ms, None, Some(&value), &[]));
    builder.build().unwrap().freeze()
}

/// A batch of an idempotent producer.
pub(crate) fn sequenced(producer_id: i64, epoch: i16, sequence: i32, records: usize) -> Bytes {
    let mut builder = Builder::new(Compression::None).producer(producer_id, epoch, sequence);
    (0..records).for_each(|_| builder.push(500, None, Some(b"value"), &[]));
    builder.build().unwrap().freeze()
}
