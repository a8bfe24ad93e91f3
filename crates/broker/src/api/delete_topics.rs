//! DeleteTopics, key 20. By name up to version 5, by name or id from 6 on.

use protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::DeleteTopics, 1, 6);

pub(super) async fn handle(ctx: &Context, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = request
        .topic_names
        .into_iter()
        .map(|name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() });
    let mut responses: Vec<DeletableTopicResult> =
        by_name.chain(request.topics).map(|wanted| delete(ctx, wanted)).collect();
    let deleted = responses.iter().any(|result| result.error_code == ErrorCode::None.code());
    if deleted && let Err(code) = ctx.broker.controller.sync().wait().await {
        responses.iter_mut().for_each(|result| result.error_code = code.code());
    }
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

fn delete(ctx: &Context, wanted: DeleteTopicState) -> DeletableTopicResult {
    let broker = &ctx.broker;
    let DeleteTopicState { name, topic_id } = wanted;
    let answer = |name: Option<Str>, code: ErrorCode, text: Option<String>| DeletableTopicResult {
        name,
        topic_id,
        error_code: code.code(),
        error_message: text.map(Str::from),
    };
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
            broker.coordinator.topic_deleted(&topic.name, ctx.now_ms);
            DeletableTopicResult {
                topic_id: topic.id,
                ..answer(Some(topic.name.clone()), ErrorCode::None, None)
            }
        }
        Err(error) => answer(Some(topic.name.clone()), error.code(), Some(error.to_string())),
    }
}
