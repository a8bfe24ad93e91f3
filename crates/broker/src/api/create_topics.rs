//! CreateTopics, key 19.
//!
//! Versions: 5 answers with what is in force for the new topic, 7 with its id. One request makes what it can: each
//! topic has a result of its own.

use protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use super::config_layers::{self, Layers};
use super::repeated::Named;
use crate::config::topic_keys::TOPIC_KEYS;
use crate::context::Context;
use crate::internal_topic;
use crate::metadata::{ChangeError, NewTopic};
use crate::topics::Settings;

pub(super) const API: Api = Api::new(ApiKey::CreateTopics, 2, 7);

/// Topics of one request. Each is answered with all its settings, so that a request of a few bytes a topic becomes an
/// answer of kilobytes a topic. Kafka's bound on what one request may change.
const TOPICS_MAX: usize = 10_000;

pub(super) async fn handle(ctx: &Context, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let names: Named<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let made = if names.is_repeated(topic.name.as_str()) {
            let text = format!("topic `{}` is in the request more than once", topic.name);
            Err((ErrorCode::InvalidRequest, text))
        } else if request.topics.len() > TOPICS_MAX {
            let text = format!("one request makes at most {TOPICS_MAX} topics");
            Err((ErrorCode::PolicyViolation, text))
        } else {
            create(ctx, topic, request.validate_only)
        };
        results.push(made.unwrap_or_else(|(code, text)| failed(&topic.name, code, text)));
    }
    let made = results.iter().any(|result| result.error_code == ErrorCode::None.code());
    if made
        && !request.validate_only
        && let Err(code) = ctx.broker.controller.sync().wait().await
    {
        for result in results.iter_mut().filter(|result| result.error_code == ErrorCode::None.code()) {
            *result = failed(&result.name.clone(), code, "the disk refused to keep the new topic".to_owned());
        }
    }
    CreateTopicsResponse { topics: results, ..CreateTopicsResponse::default() }
}

fn failed(name: &Str, code: ErrorCode, text: String) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.clone(),
        error_code: code.code(),
        error_message: Some(Str::from(text)),
        num_partitions: -1,
        replication_factor: -1,
        configs: None,
        ..CreatableTopicResult::default()
    }
}

type Refused = (ErrorCode, String);

fn create(
    ctx: &Context,
    wanted: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refused> {
    let broker = &ctx.broker;
    let refused = |error: ChangeError| (error.code(), error.to_string());
    if internal_topic::is_internal(&wanted.name) {
        let text = format!("`{}` is made by the broker itself", wanted.name);
        return Err((ErrorCode::InvalidTopicException, text));
    }
    let partitions = partition_count(wanted, broker.config.node_id, broker.config.num_partitions)?;
    let settings = wanted.configs.iter().map(|config| match &config.value {
        Some(value) => Ok((config.name.to_string(), value.to_string())),
        None => Err((ErrorCode::InvalidConfig, format!("`{}` needs a value", config.name))),
    });
    let settings = settings.collect::<Result<_, Refused>>()?;
    let new = NewTopic { name: &wanted.name, partitions, settings };
    let (topic_id, settings) = if validate_only {
        let effective = broker.controller.check(&new).map_err(refused)?;
        (uuid::Uuid::nil(), broker.controller.settings(new.settings, effective))
    } else {
        let topic = broker.controller.create_topic(new).map_err(refused)?;
        (topic.id, (*topic.settings()).clone())
    };
    Ok(CreatableTopicResult {
        name: wanted.name.clone(),
        topic_id,
        num_partitions: partitions,
        replication_factor: 1,
        configs: Some(configs(ctx, &settings)),
        ..CreatableTopicResult::default()
    })
}

/// The number of partitions that count or assignment ask for.
fn partition_count(wanted: &CreatableTopic, node: i32, default: i32) -> Result<i32, Refused> {
    if wanted.assignments.is_empty() {
        if !matches!(wanted.replication_factor, -1 | 1) {
            let text = format!(
                "replication factor {} is not possible: there is one broker",
                wanted.replication_factor
            );
            return Err((ErrorCode::InvalidReplicationFactor, text));
        }
        return match wanted.num_partitions {
            -1 => Ok(default),
            count if count >= 1 => Ok(count),
            count => Err((ErrorCode::InvalidPartitions, format!("{count} partitions are not possible"))),
        };
    }
    if wanted.num_partitions != -1 || wanted.replication_factor != -1 {
        let text = "with an assignment neither partitions nor replication factor may be given".to_owned();
        return Err((ErrorCode::InvalidRequest, text));
    }
    let invalid = |text: String| Err((ErrorCode::InvalidReplicaAssignment, text));
    let mut indexes: Vec<i32> =
        wanted.assignments.iter().map(|assignment| assignment.partition_index).collect();
    indexes.sort_unstable();
    if indexes.iter().zip(0..).any(|(index, wanted)| *index != wanted) {
        return invalid("partitions must be numbered from 0 without gaps".to_owned());
    }
    for assignment in &wanted.assignments {
        if assignment.broker_ids != [node] {
            return invalid(format!("partition {}: the only broker is {node}", assignment.partition_index));
        }
    }
    i32::try_from(wanted.assignments.len())
        .map_err(|_| (ErrorCode::InvalidPartitions, "too many partitions".to_owned()))
}

/// What is in force for a new topic.
fn configs(ctx: &Context, settings: &Settings) -> Vec<CreatableTopicConfigs> {
    let layers = Layers::of(ctx);
    TOPIC_KEYS
        .iter()
        .map(|key| CreatableTopicConfigs {
            name: Str::from_static(key.name),
            value: Some(Str::from((key.get)(&settings.effective))),
            read_only: false,
            config_source: config_layers::source(&layers.synonyms_of_topic(ctx, key, settings)),
            is_sensitive: false,
        })
        .collect()
}
