//! Topics: list, make, change, remove.

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, put};
use axum::{Json, Router};
use control::{Control, NewTopic, Retention, Topic, TopicChange, TopicState};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CLUSTER, Cluster, accepted, number};
use crate::problem::Problem;
use crate::request::body;
use crate::request::caller::Authenticated;

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(&format!("{CLUSTER}/topics"), get(list).post(create))
        .route(&format!("{CLUSTER}/topics/{{topic}}"), put(change).delete(remove))
}

async fn list(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Cluster(cluster): Cluster,
) -> Result<Json<Value>, Problem> {
    let resource = control.resource(&caller, &cluster).await?;
    let topics = control.topics(&caller, &cluster).await?;
    Ok(Json(json!({
        "attachment_name": resource.attachment,
        "prefix": null,
        "limits": { "max_topics": resource.plan.limits.max_topics },
        "topics": topics.iter().map(shown).collect::<Vec<_>>(),
    })))
}

#[derive(Debug, Deserialize)]
struct Creation {
    topic: Wanted,
}

#[derive(Debug, Deserialize)]
struct Wanted {
    name: String,
    #[serde(default, deserialize_with = "number::optional")]
    partition_count: Option<u32>,
    #[serde(default, deserialize_with = "number::optional")]
    replication_factor: Option<u16>,
    #[serde(default, deserialize_with = "number::optional")]
    retention_time_ms: Option<i64>,
    #[serde(default)]
    compaction: bool,
}

async fn create(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Cluster(cluster): Cluster,
    body::Json(Creation { topic }): body::Json<Creation>,
) -> Result<Response, Problem> {
    let wish = NewTopic {
        name: topic.name,
        partitions: topic.partition_count,
        replication_factor: topic.replication_factor,
        retention_ms: topic.retention_time_ms,
        compaction: topic.compaction,
    };
    let topic = control.create_topic(&caller, &cluster, &wish, None).await?;
    Ok(accepted(format!("Topic {} is being created.", topic.name)))
}

#[derive(Debug, Deserialize)]
struct Modification {
    topic: Changed,
}

/// What is absent stays; a retention of `null` is without end.
#[derive(Debug, Deserialize)]
struct Changed {
    #[serde(default, deserialize_with = "number::optional")]
    replication_factor: Option<u16>,
    #[serde(default, deserialize_with = "number::nullable")]
    retention_time_ms: Option<Option<i64>>,
    compaction: Option<bool>,
}

async fn change(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Cluster(cluster): Cluster,
    Path((_, name)): Path<(String, String)>,
    body::Json(Modification { topic: wanted }): body::Json<Modification>,
) -> Result<Response, Problem> {
    let change = TopicChange {
        retention: wanted
            .retention_time_ms
            .map(|ms| ms.map_or(Retention::Unlimited, Retention::Milliseconds)),
        compaction: wanted.compaction,
        replication_factor: wanted.replication_factor,
    };
    let topic = control.update_topic(&caller, &cluster, &name, &change).await?;
    Ok(accepted(format!("Topic {} is being changed.", topic.name)))
}

async fn remove(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Cluster(cluster): Cluster,
    Path((_, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let topic = control.delete_topic(&caller, &cluster, &name).await?;
    Ok(accepted(format!("Topic {} has been marked for deletion.", topic.name)))
}

fn shown(topic: &Topic) -> Value {
    let (status, label) = match topic.state {
        TopicState::Creating => ("creating", "being created"),
        TopicState::Ready => ("ready", "available"),
        TopicState::Deleting => ("deleting", "being deleted"),
        TopicState::Failed => ("failed", "failed"),
    };
    json!({
        "name": topic.name,
        "prefix": null,
        "status": status,
        "status_label": label,
        "partitions": topic.partitions,
        "replication_factor": topic.replication_factor,
        "compaction": topic.compaction,
        "compaction_enabled": topic.compaction,
        "retention_time_ms": topic.retention_ms,
        "retention_enabled": topic.retention_ms.is_some(),
        // Brokers do not measure these yet; the plugin computes with them, so they cannot be left out.
        "messages_in_per_second": 0,
        "bytes_in_per_second": 0,
        "bytes_out_per_second": 0,
    })
}
