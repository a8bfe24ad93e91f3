//! Where a partition begins and ends.

use std::collections::BTreeMap;

use protocol::messages::ListOffsetsRequest;
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use protocol::{ErrorCode, Str};

use crate::admin::Admin;
use crate::error::{Error, Refusal};

/// Which offset is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetAt {
    /// That of the first record that is still there.
    Earliest,
    /// That of the next record to come.
    Latest,
    /// That of the record with the largest timestamp.
    MaxTimestamp,
    /// That of the first record at or after this time.
    TimeMs(i64),
}

impl OffsetAt {
    /// Kafka hides the others among the timestamps.
    fn timestamp(self) -> i64 {
        match self {
            OffsetAt::Latest => -1,
            OffsetAt::Earliest => -2,
            OffsetAt::MaxTimestamp => -3,
            OffsetAt::TimeMs(time_ms) => time_ms,
        }
    }
}

/// An offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionOffset {
    /// The partition.
    pub partition: i32,
    /// Nothing if no record fits.
    pub offset: Option<i64>,
}

impl Admin {
    /// An offset of each partition of a topic, by partition.
    pub async fn list_offsets(&self, topic: &str, at: OffsetAt) -> Result<Vec<PartitionOffset>, Error> {
        let what = || format!("list the offsets of topic {topic}");
        let metadata = self.metadata(Some(&[topic])).await?;
        let found = metadata.topics.first().ok_or_else(|| {
            Error::refused(what(), Refusal { code: ErrorCode::UnknownTopicOrPartition, message: None })
        })?;
        Refusal::check(found.error_code, None).map_err(|refusal| Error::refused(what(), refusal))?;

        let mut by_leader: BTreeMap<i32, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for partition in &found.partitions {
            by_leader.entry(partition.leader_id).or_default().push(ListOffsetsPartition {
                partition_index: partition.partition_index,
                timestamp: at.timestamp(),
                ..ListOffsetsPartition::default()
            });
        }
        let mut offsets = Vec::with_capacity(found.partitions.len());
        for (leader, partitions) in by_leader {
            let leader =
                metadata.brokers.iter().find(|broker| broker.node_id == leader).ok_or_else(|| {
                    Error::refused(what(), Refusal { code: ErrorCode::LeaderNotAvailable, message: None })
                })?;
            let connection = self.to(&leader.host, u16::try_from(leader.port).unwrap_or(0)).await?;
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics: vec![ListOffsetsTopic { name: Str::from(topic), partitions }],
                timeout_ms: self.timeout_ms(),
                ..ListOffsetsRequest::default()
            };
            let answer = self.call_over(&connection, &request, i16::MAX).await?;
            for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                Refusal::check(partition.error_code, None)
                    .map_err(|refusal| Error::refused(what(), refusal))?;
                offsets.push(PartitionOffset {
                    partition: partition.partition_index,
                    offset: Some(partition.offset).filter(|offset| *offset >= 0),
                });
            }
        }
        offsets.sort_by_key(|offset| offset.partition);
        Ok(offsets)
    }
}
