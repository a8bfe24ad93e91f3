//! Metadata, key 3: which topics there are and who leads their partitions.
//!
//! Versions: 0 asks for all topics with an empty list, later ones with null; 4 says whether asking may create; 8 to 10
//! carry what the caller may do with the cluster; 10 answers with topic ids, 12 asks by them. A topic that is named twice
//! is answered once.

use protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::repeated::keep_first;
use super::{Api, authorized};
use crate::context::Context;
use crate::internal_topic::{self, InternalTopic};
use crate::metadata::{ChangeError, NewTopic};
use crate::topics::Topic;

pub(super) const API: Api = Api::new(ApiKey::Metadata, 0, 13);

pub(super) async fn handle(ctx: &Context, request: MetadataRequest) -> MetadataResponse {
    let broker = &ctx.broker;
    let wants_all = match &request.topics {
        None => true,
        Some(topics) => ctx.version == 0 && topics.is_empty(),
    };
    let operations = request.include_topic_authorized_operations;
    let mut topics = Vec::new();
    if wants_all {
        topics.extend(broker.topics.all().iter().map(|topic| describe(ctx, topic, operations)));
    } else {
        let mut created = false;
        let mut wanted = request.topics.unwrap_or_default();
        keep_first(&mut wanted, |topic| (topic.name.clone(), topic.topic_id));
        for wanted in wanted {
            topics.push(find(ctx, wanted, request.allow_auto_topic_creation, operations, &mut created));
        }
        // Who is told of a topic must find it after a crash. One wait for all that were made.
        if created && let Err(code) = broker.controller.sync().wait().await {
            topics.iter_mut().for_each(|topic| topic.error_code = code.code());
        }
    }
    let endpoint = broker.endpoint(ctx.peer.protocol);
    let brokers = endpoint.map(|endpoint| MetadataResponseBroker {
        node_id: broker.config.node_id,
        host: endpoint.host.clone(),
        port: i32::from(endpoint.port),
        rack: broker.config.rack.as_deref().map(Str::from),
    });
    MetadataResponse {
        brokers: brokers.into_iter().collect(),
        cluster_id: Some(broker.controller.cluster_id().clone()),
        controller_id: broker.config.node_id,
        topics,
        cluster_authorized_operations: authorized::cluster(request.include_cluster_authorized_operations),
        ..MetadataResponse::default()
    }
}

fn find(
    ctx: &Context,
    wanted: MetadataRequestTopic,
    may_create: bool,
    operations: bool,
    created: &mut bool,
) -> MetadataResponseTopic {
    let topics = &ctx.broker.topics;
    let failed = |code: ErrorCode, name: Option<Str>, topic_id| MetadataResponseTopic {
        error_code: code.code(),
        // Only versions that ask by id can say that there is no name.
        name: name.or_else(|| (ctx.version < 12).then(Str::default)),
        topic_id,
        topic_authorized_operations: i32::MIN,
        ..MetadataResponseTopic::default()
    };
    let MetadataRequestTopic { topic_id, name } = wanted;
    let Some(name) = name else {
        return match topics.by_id(topic_id) {
            Some(topic) => describe(ctx, &topic, operations),
            None => failed(ErrorCode::UnknownTopicId, None, topic_id),
        };
    };
    if let Some(topic) = topics.by_name(&name) {
        return describe(ctx, &topic, operations);
    }
    let outcome = if may_create && ctx.broker.config.auto_create_topics {
        *created = true;
        create(ctx, &name)
    } else {
        crate::metadata::controller::check_name(&name).map_err(|error| error.code()).map(|()| None)
    };
    match outcome {
        Ok(Some(topic)) => describe(ctx, &topic, operations),
        Ok(None) => failed(ErrorCode::UnknownTopicOrPartition, Some(name), topic_id),
        Err(code) => failed(code, Some(name), topic_id),
    }
}

fn create(ctx: &Context, name: &str) -> Result<Option<std::sync::Arc<Topic>>, ErrorCode> {
    let broker = &ctx.broker;
    if internal_topic::is_internal(name) {
        if name == internal_topic::CONSUMER_OFFSETS {
            let _synced_by_the_caller = broker.offsets_topic.ensure()?;
        }
        return Ok(broker.topics.by_name(name));
    }
    let new = NewTopic { name, partitions: broker.config.num_partitions, settings: Default::default() };
    match broker.controller.create_topic(new) {
        Ok(topic) => Ok(Some(topic)),
        Err(ChangeError::Exists(_)) => Ok(broker.topics.by_name(name)),
        Err(error) => {
            tracing::debug!(topic.name = %name, %error, "a topic was not made on demand");
            Err(error.code())
        }
    }
}

fn describe(ctx: &Context, topic: &Topic, operations: bool) -> MetadataResponseTopic {
    let node = ctx.broker.config.node_id;
    let partitions = topic.partitions();
    let partitions = partitions.iter().map(|partition| MetadataResponsePartition {
        partition_index: partition.index(),
        leader_id: node,
        leader_epoch: partition.leader_epoch(),
        replica_nodes: vec![node],
        isr_nodes: vec![node],
        ..MetadataResponsePartition::default()
    });
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        topic_authorized_operations: authorized::topic(operations),
        ..MetadataResponseTopic::default()
    }
}
