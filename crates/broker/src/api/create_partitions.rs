//! CreatePartitions, key 37: a topic grows; it never shrinks.

use protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use super::repeated::Named;
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::CreatePartitions, 0, 3);

pub(super) async fn handle(ctx: &Context, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let validate_only = request.validate_only;
    let mut results = Vec::with_capacity(request.topics.len());
    let names: Named<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    for topic in &request.topics {
        let grown = if names.is_repeated(topic.name.as_str()) {
            Err((
                ErrorCode::InvalidRequest,
                format!("topic `{}` is in the request more than once", topic.name),
            ))
        } else {
            grow(ctx, topic, validate_only)
        };
        let (code, text) = grown.err().unzip();
        results.push(CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code: code.unwrap_or(ErrorCode::None).code(),
            error_message: text.map(Str::from),
        });
    }
    if !validate_only && let Err(code) = ctx.broker.controller.sync().wait().await {
        for result in results.iter_mut().filter(|result| result.error_code == ErrorCode::None.code()) {
            result.error_code = code.code();
        }
    }
    CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() }
}

fn grow(
    ctx: &Context,
    wanted: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), (ErrorCode, String)> {
    let broker = &ctx.broker;
    if let Some(assignments) = &wanted.assignments {
        let node = broker.config.node_id;
        let existing = broker.topics.by_name(&wanted.name).map_or(0, |topic| topic.partition_count());
        if i32::try_from(assignments.len()).ok() != Some(wanted.count - existing) {
            let text =
                format!("{} assignments for {} new partitions", assignments.len(), wanted.count - existing);
            return Err((ErrorCode::InvalidReplicaAssignment, text));
        }
        if assignments.iter().any(|assignment| assignment.broker_ids != [node]) {
            return Err((ErrorCode::InvalidReplicaAssignment, format!("the only broker is {node}")));
        }
    }
    broker
        .controller
        .grow_topic(&wanted.name, wanted.count, validate_only)
        .map_err(|error| (error.code(), error.to_string()))
}
