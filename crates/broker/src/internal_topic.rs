//! Where coordinators keep their state: a compacted topic that clients may read and must not write.
//!
//! A coordinator is a state machine whose every change is a record batch here; after a restart it reads its
//! partitions from the start and is what it was. It sees no log, no lock and no file, only [`InternalTopic`], so that
//! its tests run on a vector.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use log::Origin;
use protocol::ErrorCode;

use crate::config::Groups;
use crate::durable::Durable;
use crate::metadata::{ChangeError, Controller, NewTopic};
use crate::partition::Partition;
use crate::topics::Topics;

/// Name of the topic that keeps group state, as Kafka's tools expect it.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// Name of the topic that will keep transaction state.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// Whether clients may not create, write or delete the topic.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    name == CONSUMER_OFFSETS || name == TRANSACTION_STATE
}

/// What became of an append.
#[derive(Debug)]
pub struct Appended {
    /// Offset of the batch's first record.
    pub base_offset: i64,
    /// Wait on this before telling anybody.
    pub durable: Durable,
}

/// One internal topic. No method blocks on anything but a short write or read of the page cache.
pub trait InternalTopic: Send + Sync {
    /// How many partitions it has, `None` while it does not exist. Never changes once it does.
    fn partition_count(&self) -> Option<i32>;

    /// Creates it with the configured number of partitions, compacted; does nothing if it exists.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR if the disk refuses.
    fn ensure(&self) -> Result<Durable, ErrorCode>;

    /// Appends one or more whole record batches (built with base offset 0) to a partition.
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER if there is no such partition here, KAFKA_STORAGE_ERROR if the disk refuses,
    /// MESSAGE_TOO_LARGE if a batch is above the topic's limit. Nothing was appended then.
    fn append(&self, partition: i32, batches: Bytes, now_ms: i64) -> Result<Appended, ErrorCode>;

    /// Shows every batch of a partition in order, a few at a time, each slice holding whole batches.
    ///
    /// # Errors
    /// As [`InternalTopic::append`]; what was shown before the error is valid.
    fn replay(&self, partition: i32, show: &mut dyn FnMut(Bytes)) -> Result<(), ErrorCode>;
}

/// `__consumer_offsets`, as the coordinator sees it.
pub struct OffsetsTopic {
    controller: Arc<Controller>,
    topics: Arc<Topics>,
    settings: Groups,
}

/// Longest batch. The state of a group with its members is one record, and thousands of members need more than the
/// megabyte that topics have by default; the coordinator stops groups before this.
const RECORD_MAX_BYTES: i32 = 64 * 1024 * 1024;

/// How much of a partition [`InternalTopic::replay`] reads at once.
const REPLAY_CHUNK_BYTES: usize = 1024 * 1024;

impl OffsetsTopic {
    /// The topic, which may not exist yet.
    #[must_use]
    pub fn new(controller: Arc<Controller>, topics: Arc<Topics>, settings: Groups) -> OffsetsTopic {
        OffsetsTopic { controller, topics, settings }
    }

    fn partition(&self, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let topic = self.topics.by_name(CONSUMER_OFFSETS).ok_or(ErrorCode::NotLeaderOrFollower)?;
        topic.partition(index).ok_or(ErrorCode::NotLeaderOrFollower)
    }
}

impl InternalTopic for OffsetsTopic {
    fn partition_count(&self) -> Option<i32> {
        self.topics.by_name(CONSUMER_OFFSETS).map(|topic| topic.partition_count())
    }

    fn ensure(&self) -> Result<Durable, ErrorCode> {
        if self.topics.by_name(CONSUMER_OFFSETS).is_some() {
            return Ok(Durable::already());
        }
        let new = NewTopic {
            name: CONSUMER_OFFSETS,
            partitions: self.settings.offsets_topic_partitions,
            settings: BTreeMap::from([
                ("cleanup.policy".to_owned(), "compact".to_owned()),
                ("compression.type".to_owned(), "producer".to_owned()),
                ("max.message.bytes".to_owned(), RECORD_MAX_BYTES.to_string()),
                ("segment.bytes".to_owned(), self.settings.offsets_topic_segment_bytes.to_string()),
            ]),
        };
        match self.controller.create_topic(new) {
            // Another request may have made it in this moment.
            Ok(_) | Err(ChangeError::Exists(_)) => Ok(self.controller.sync()),
            Err(error) => {
                tracing::error!(%error, "the topic for group state could not be made");
                Err(error.code())
            }
        }
    }

    fn append(&self, partition: i32, batches: Bytes, now_ms: i64) -> Result<Appended, ErrorCode> {
        let partition = self.partition(partition)?;
        let appended =
            partition.append(&batches, Origin::Coordinator, now_ms).map_err(|refusal| refusal.code)?;
        Ok(Appended { base_offset: appended.base_offset, durable: appended.durable })
    }

    fn replay(&self, partition: i32, show: &mut dyn FnMut(Bytes)) -> Result<(), ErrorCode> {
        let partition = self.partition(partition)?;
        let mut offset = partition.offsets()?.start;
        while let Some((batches, next)) = partition.load(offset, REPLAY_CHUNK_BYTES)? {
            show(batches);
            offset = next;
        }
        Ok(())
    }
}
