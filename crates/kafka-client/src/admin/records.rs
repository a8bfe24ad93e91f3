//! Single batches to and from a partition: enough for probes and tests, and no producer or consumer.

use std::time::Duration;

use bytes::Bytes;
use protocol::messages::fetch::{FetchPartition, FetchTopic};
use protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use protocol::messages::{FetchRequest, ProduceRequest};
use protocol::{ErrorCode, Records, Str};

use crate::admin::Admin;
use crate::error::{Error, Refusal};

/// The last versions that name topics instead of giving their ids.
const PRODUCE_BY_NAME: i16 = 12;
const FETCH_BY_NAME: i16 = 12;

/// When a broker answers a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// When the leader has it.
    Leader,
    /// When all brokers in sync have it.
    All,
}

/// What a fetch found.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Up to where records are committed.
    pub high_watermark: i64,
    /// Where the partition begins.
    pub log_start_offset: i64,
    /// Whole batches, of which the first may begin before the wanted offset and the last may be torn.
    pub records: Bytes,
}

impl Admin {
    /// Appends a batch; returns the offset of its first record.
    pub async fn produce(&self, topic: &str, partition: i32, batch: Bytes, acks: Acks) -> Result<i64, Error> {
        let what = || format!("produce to {topic}-{partition}");
        let leader = self.to_leader(topic, partition).await?;
        let data = PartitionProduceData { index: partition, records: Some(batch) };
        let request = ProduceRequest {
            acks: match acks {
                Acks::Leader => 1,
                Acks::All => -1,
            },
            timeout_ms: self.timeout_ms(),
            topic_data: vec![TopicProduceData {
                name: Str::from(topic),
                partition_data: vec![data],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        let answer = self.call_over(&leader, &request, PRODUCE_BY_NAME).await?;
        let result = answer.responses.iter().flat_map(|topic| &topic.partition_responses).next();
        let result = result.ok_or_else(|| unanswered(what()))?;
        Refusal::check(result.error_code, result.error_message.as_ref())
            .map_err(|refusal| Error::refused(what(), refusal))?;
        Ok(result.base_offset)
    }

    /// Reads from an offset, waiting up to `max_wait` if there is nothing yet.
    pub async fn fetch(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        max_bytes: i32,
        max_wait: Duration,
    ) -> Result<Fetched, Error> {
        let what = || format!("fetch from {topic}-{partition}");
        let leader = self.to_leader(topic, partition).await?;
        // The wait must end before the call is given up.
        let max_wait = max_wait.min(self.inner.config.timeout / 2);
        let request = FetchRequest {
            max_wait_ms: i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: 1,
            max_bytes,
            topics: vec![FetchTopic {
                topic: Str::from(topic),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: max_bytes,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let answer = self.call_over(&leader, &request, FETCH_BY_NAME).await?;
        Refusal::check(answer.error_code, None).map_err(|refusal| Error::refused(what(), refusal))?;
        let result = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
        let result = result.ok_or_else(|| unanswered(what()))?;
        Refusal::check(result.error_code, None).map_err(|refusal| Error::refused(what(), refusal))?;
        let records = match result.records {
            Some(Records::Here(bytes)) => bytes,
            Some(Records::Elsewhere(_)) | None => Bytes::new(),
        };
        Ok(Fetched {
            high_watermark: result.high_watermark,
            log_start_offset: result.log_start_offset,
            records,
        })
    }
}

fn unanswered(what: String) -> Error {
    let message = Some("the broker's answer says nothing of it".into());
    Error::refused(what, Refusal { code: ErrorCode::UnknownServerError, message })
}
