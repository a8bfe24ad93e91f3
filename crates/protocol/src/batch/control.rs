//! Control batches: the broker's own records among the producers', which end a transaction.

use std::io;

use bytes::{Bytes, BytesMut};

use crate::batch::{Batch, Builder, Compression};
use crate::codec::Message;
use crate::messages::EndTxnMarker;
use crate::{Decoder, Encoder};

/// Version of the key, and of the value, that Kafka writes.
const VERSION: i16 = 0;

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// How a transaction ended in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whether its records count; otherwise readers of committed records skip them.
    pub is_commit: bool,
    /// The epoch of the coordinator that decided, so that one deposed is told from its successor.
    pub coordinator_epoch: i32,
}

impl Marker {
    /// What the control batch says, if it ends a transaction. Other kinds of control records exist and newer ones
    /// may come; nobody but their writers needs to know them.
    pub fn read(batch: &Batch) -> Option<Marker> {
        if !batch.header().is_control() {
            return None;
        }
        // Control batches are never compressed.
        let record = batch.records(0).ok()?.next()?.ok()?;
        let mut key = Decoder::new(record.key?);
        let _version = key.i16().ok()?;
        let kind = key.i16().ok()?;
        if kind != ABORT && kind != COMMIT {
            return None;
        }
        let mut value = Decoder::new(record.value?);
        let _version = value.i16().ok()?;
        // Later versions only append to this one.
        let marker = EndTxnMarker::decode(&mut value, VERSION).ok()?;
        Some(Marker { is_commit: kind == COMMIT, coordinator_epoch: marker.coordinator_epoch })
    }

    /// The control batch that ends a producer's transaction.
    pub fn batch(self, producer_id: i64, producer_epoch: i16, now_ms: i64) -> io::Result<BytesMut> {
        let mut key = Encoder::new();
        key.i16(VERSION);
        key.i16(if self.is_commit { COMMIT } else { ABORT });
        let key = key.finish().into_bytes().unwrap_or_default();
        let marker = EndTxnMarker { coordinator_epoch: self.coordinator_epoch };
        let value: Bytes = marker.encode_prefixed(VERSION).map_err(io::Error::other)?;
        let mut builder = Builder::new(Compression::None).producer(producer_id, producer_epoch, -1);
        builder.push(now_ms, Some(&key), Some(&value), &[]);
        builder.transactional().control().build()
    }
}
