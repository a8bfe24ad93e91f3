//! Topics: create, delete, grow, describe.

use std::collections::BTreeMap;

use protocol::messages::create_partitions::CreatePartitionsTopic;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use protocol::messages::metadata::{MetadataRequestTopic, MetadataResponse, MetadataResponseTopic};
use protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest,
};
use protocol::{ErrorCode, Str};
use uuid::Uuid;

use crate::admin::Admin;
use crate::connection::Connection;
use crate::error::{Error, Refusal};

/// The last version of DeleteTopics that takes plain names.
const DELETE_BY_NAME: i16 = 5;

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; the broker's default if nothing is said.
    pub partitions: Option<i32>,
    /// How many copies of each; the broker's default if nothing is said.
    pub replication_factor: Option<i16>,
    /// Settings by Kafka's names.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<String>) -> NewTopic {
        NewTopic { name: name.into(), partitions: None, replication_factor: None, configs: BTreeMap::new() }
    }
}

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Nil from brokers older than Kafka 2.8.
    pub id: Uuid,
    /// Whether it belongs to the brokers themselves.
    pub is_internal: bool,
    /// By index.
    pub partitions: Vec<Partition>,
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// The broker that leads it, if any does.
    pub leader: Option<i32>,
    /// The epoch of that leader.
    pub leader_epoch: i32,
    /// The brokers that have a copy.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync: Vec<i32>,
}

impl Admin {
    /// Creates a topic, or with `validate_only` says whether it could be created. Returns its id.
    pub async fn create_topic(&self, topic: &NewTopic, validate_only: bool) -> Result<Uuid, Error> {
        let mut results = self.create_topics(std::slice::from_ref(topic), validate_only).await?;
        let what = format!("create topic {}", topic.name);
        match results.pop() {
            Some((_, result)) => result.map_err(|refusal| Error::refused(what, refusal)),
            None => Err(Error::refused(what, silence())),
        }
    }

    /// Creates topics; each may succeed or be refused by itself.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<(String, Result<Uuid, Refusal>)>, Error> {
        let creatable = |topic: &NewTopic| CreatableTopic {
            name: Str::from(&topic.name),
            num_partitions: topic.partitions.unwrap_or(-1),
            replication_factor: topic.replication_factor.unwrap_or(-1),
            configs: topic
                .configs
                .iter()
                .map(|(name, value)| CreatableTopicConfig {
                    name: Str::from(name),
                    value: Some(Str::from(value)),
                })
                .collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        let answer = self.call(&request).await?;
        let result = |topic: &protocol::messages::create_topics::CreatableTopicResult| {
            let checked = Refusal::check(topic.error_code, topic.error_message.as_ref());
            (topic.name.to_string(), checked.map(|()| topic.topic_id))
        };
        Ok(answer.topics.iter().map(result).collect())
    }

    /// Deletes a topic; refused with `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
    pub async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let mut results = self.delete_topics(&[name]).await?;
        let what = format!("delete topic {name}");
        match results.pop() {
            Some((_, result)) => result.map_err(|refusal| Error::refused(what, refusal)),
            None => Err(Error::refused(what, silence())),
        }
    }

    /// Deletes topics; each may succeed or be refused by itself.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<Vec<(String, Result<(), Refusal>)>, Error> {
        let request = DeleteTopicsRequest {
            topic_names: names.iter().copied().map(Str::from).collect(),
            timeout_ms: self.timeout_ms(),
            ..DeleteTopicsRequest::default()
        };
        let answer = self.call_up_to(&request, DELETE_BY_NAME).await?;
        let result = |topic: &protocol::messages::delete_topics::DeletableTopicResult| {
            let name = topic.name.as_ref().map(ToString::to_string).unwrap_or_default();
            (name, Refusal::check(topic.error_code, topic.error_message.as_ref()))
        };
        Ok(answer.responses.iter().map(result).collect())
    }

    /// Gives a topic more partitions, `count` in all.
    pub async fn create_partitions(&self, topic: &str, count: i32) -> Result<(), Error> {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic { name: Str::from(topic), count, assignments: None }],
            timeout_ms: self.timeout_ms(),
            validate_only: false,
        };
        let answer = self.call(&request).await?;
        let what = || format!("give topic {topic} {count} partitions");
        let Some(result) = answer.results.first() else { return Err(Error::refused(what(), silence())) };
        Refusal::check(result.error_code, result.error_message.as_ref())
            .map_err(|refusal| Error::refused(what(), refusal))
    }

    /// All topics, by name.
    pub async fn list_topics(&self) -> Result<Vec<Topic>, Error> {
        let answer = self.metadata(None).await?;
        let mut topics = Vec::with_capacity(answer.topics.len());
        for topic in &answer.topics {
            topics.extend(describe(topic)?);
        }
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// One topic, or nothing if there is none of that name. Never creates it.
    pub async fn describe_topic(&self, name: &str) -> Result<Option<Topic>, Error> {
        let answer = self.metadata(Some(&[name])).await?;
        answer.topics.first().map_or(Ok(None), describe)
    }

    pub(super) async fn metadata(&self, topics: Option<&[&str]>) -> Result<MetadataResponse, Error> {
        let by_name =
            |name: &&str| MetadataRequestTopic { name: Some(Str::from(*name)), topic_id: Uuid::nil() };
        let request = MetadataRequest {
            topics: topics.map(|names| names.iter().map(by_name).collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let answer = self.call(&request).await?;
        Refusal::check(answer.error_code, None)
            .map_err(|refusal| Error::refused("read metadata", refusal))?;
        Ok(answer)
    }

    /// A connection to the leader of a partition, for those calls that only it answers.
    pub(super) async fn to_leader(&self, topic: &str, partition: i32) -> Result<Connection, Error> {
        let what = || format!("find the leader of {topic}-{partition}");
        let refuse = |code| Error::refused(what(), Refusal { code, message: None });
        let answer = self.metadata(Some(&[topic])).await?;
        let found = answer.topics.first().ok_or_else(|| refuse(ErrorCode::UnknownTopicOrPartition))?;
        Refusal::check(found.error_code, None).map_err(|refusal| Error::refused(what(), refusal))?;
        let partition = found
            .partitions
            .iter()
            .find(|p| p.partition_index == partition)
            .ok_or_else(|| refuse(ErrorCode::UnknownTopicOrPartition))?;
        let leader = answer
            .brokers
            .iter()
            .find(|broker| broker.node_id == partition.leader_id)
            .ok_or_else(|| refuse(ErrorCode::LeaderNotAvailable))?;
        self.to(&leader.host, u16::try_from(leader.port).unwrap_or(0)).await
    }
}

/// The topic as metadata describes it; nothing if metadata says that there is none.
fn describe(topic: &MetadataResponseTopic) -> Result<Option<Topic>, Error> {
    let name = topic.name.as_ref().map(ToString::to_string).unwrap_or_default();
    match ErrorCode::from(topic.error_code) {
        ErrorCode::UnknownTopicOrPartition => return Ok(None),
        // Some partitions have no leader right now; the rest is as good as ever.
        ErrorCode::None | ErrorCode::LeaderNotAvailable => {}
        code => {
            return Err(Error::refused(format!("describe topic {name}"), Refusal { code, message: None }));
        }
    }
    let mut partitions: Vec<Partition> = topic
        .partitions
        .iter()
        .map(|partition| Partition {
            index: partition.partition_index,
            leader: Some(partition.leader_id).filter(|id| *id >= 0),
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes.clone(),
            in_sync: partition.isr_nodes.clone(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    Ok(Some(Topic { name, id: topic.topic_id, is_internal: topic.is_internal, partitions }))
}

/// The broker left out what it was asked for.
fn silence() -> Refusal {
    Refusal {
        code: ErrorCode::UnknownServerError,
        message: Some("the broker's answer says nothing of it".into()),
    }
}
