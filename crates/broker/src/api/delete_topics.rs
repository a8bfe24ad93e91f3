//! DeleteTopics, key 20. By name up to version 5, by name or id from 6 on.

use protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use protocol::{ApiKey, ErrorCode, Str};
use uuid::Uuid;

use super::Api;
use super::repeated::Named;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::DeleteTopics, 1, 6);

pub(super) async fn handle(ctx: &Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = request
        .topic_names
        .into_iter()
        .map(|name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() });
    let all: Vec<DeleteTopicState> = by_name.chain(request.topics).collect();
    let named: Named<Option<Uuid>> = all.iter().map(|wanted| id_of(ctx, wanted)).collect();
    let mut responses: Vec<DeletableTopicResult> = all
        .into_iter()
        .map(|wanted| {
            let id = id_of(ctx, &wanted);
            let is_repeated = id.is_some() && named.is_repeated(&id);
            delete(ctx, wanted, is_repeated)
        })
        .collect();
    let is_deleted = |result: &DeletableTopicResult| result.error_code == ErrorCode::None.code();
    if responses.iter().any(is_deleted)
        && let Err(code) = ctx.broker.controller.sync().wait().await
    {
        for result in responses.iter_mut().filter(|result| is_deleted(result)) {
            result.error_code = code.code();
        }
    }
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

/// The topic that is meant, if there is one.
fn id_of(ctx: &Context, wanted: &DeleteTopicState) -> Option<Uuid> {
    match &wanted.name {
        Some(name) => ctx.broker.topics.by_name(name).map(|topic| topic.id),
        None => Some(wanted.topic_id),
    }
}

fn delete(ctx: &Context, wanted: DeleteTopicState, is_repeated: bool) -> DeletableTopicResult {
    let broker = &ctx.broker;
    let DeleteTopicState { name, topic_id } = wanted;
    let answer = |name: Option<Str>, code: ErrorCode, text: Option<String>| DeletableTopicResult {
        name,
        topic_id,
        error_code: code.code(),
        error_message: text.map(Str::from),
    };
    let invalid = match &name {
        Some(_) if !topic_id.is_nil() => Some("a topic is named by its name or by its id, not by both"),
        None if topic_id.is_nil() => Some("neither name nor id says which topic is meant"),
        _ if is_repeated => Some("the topic is in the request more than once"),
        _ => None,
    };
    if let Some(text) = invalid {
        return answer(name, ErrorCode::InvalidRequest, Some(text.to_owned()));
    }
    let topic = match &name {
        Some(name) => broker.topics.by_name(name),
        None => broker.topics.by_id(topic_id),
    };
    let Some(topic) = topic else {
        let unknown =
            if name.is_some() { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::UnknownTopicId };
        return answer(name, unknown, None);
    };
    if !broker.config.delete_topic_enable {
        let text = "delete.topic.enable is false".to_owned();
        return answer(name, ErrorCode::TopicDeletionDisabled, Some(text));
    }
    match broker.controller.delete_topic(&topic.name) {
        Ok(topic) => {
            broker.coordinator.topic_deleted(&topic.name);
            DeletableTopicResult {
                topic_id: topic.id,
                ..answer(Some(topic.name.clone()), ErrorCode::None, None)
            }
        }
        Err(error) => answer(Some(topic.name.clone()), error.code(), Some(error.to_string())),
    }
}
