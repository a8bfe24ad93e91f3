//! One cluster, as `kafka:info` shows it.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use control::{ClusterInfo, Control, Resource};
use model::condition::Truth;
use model::resource;
use serde_json::{Value, json};

use super::{CLUSTER, Cluster, Silently};
use crate::request::caller::Authenticated;

pub(super) fn routes() -> Router<Control> {
    Router::new().route(CLUSTER, get(show))
}

async fn show(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Cluster(cluster): Cluster,
) -> Result<Json<Value>, Silently> {
    let info = control.cluster_info(&caller, &cluster).await?;
    Ok(Json(shown(&info)))
}

fn shown(info: &ClusterInfo) -> Value {
    let resource = &info.resource;
    let limits = &resource.plan.limits;
    let topics: Vec<&str> = info.topics.iter().map(|topic| topic.name.as_str()).collect();
    let mut shown = json!({
        "addon_id": resource.id,
        "name": resource.name,
        "attachment_name": resource.attachment,
        "state": state(resource),
        "version": [resource.release],
        "created_at": resource.created_at.rfc3339(),
        "robot": { "is_robot": false },
        "topics": topics,
        "topic_prefix": null,
        "shared_cluster": false,
        "partition_replica_count": info.partition_replicas,
        // Brokers do not measure rates yet; the plugin computes with these fields, so they cannot be left out.
        "messages_in_per_sec": 0,
        "bytes_in_per_sec": 0,
        "bytes_out_per_sec": 0,
        "limits": {
            "max_topics": limits.max_topics,
            "max_number_of_topics": limits.max_topics,
            "max_partition_replica_count": limits.max_partition_replicas,
            "max_number_of_total_partitions": limits.max_partition_replicas,
            "max_number_of_partitions_per_topic": limits.max_partitions_per_topic,
            "minimum_retention_ms": limits.min_retention_ms,
            "maximum_retention_ms": limits.max_retention_ms,
            "default_retention_ms": resource.plan.topic_defaults.retention_ms,
            "minimum_replication": 1,
            "maximum_replication": resource.plan.brokers,
            "data_size": {
                "limit_bytes": limits.data_size.0,
                "subcritical_percentage": 70,
                "critical_percentage": 80,
                "supercritical_percentage": 90,
            },
        },
        "capabilities": { "supports_mixed_cleanup_policy": true },
        "defaults": {
            "partition_count": resource.plan.topic_defaults.partitions,
            "retention_time_ms": resource.plan.topic_defaults.retention_ms,
        },
    });
    if let Some(bytes) = info.data_size_bytes {
        shown["data_size"] = json!(bytes);
    }
    shown
}

/// The state for people and, beneath keys with question marks, for the plugin.
fn state(resource: &Resource) -> Value {
    let brokers = resource.status.iter().flat_map(|status| &status.brokers);
    let degraded: Vec<i32> =
        brokers.filter(|broker| broker.ready != Truth::True).map(|broker| broker.id.0).collect();
    json!({
        "message": summary(resource),
        "status": format!("{:?}", resource.state).to_lowercase(),
        "waiting?": resource.state.is_waiting(),
        "healthy?": resource.state == resource::State::Ready,
        "degraded_topics": [],
        "degraded_brokers": degraded,
    })
}

/// One or two words as Heroku has them, and the reason where it is not simply well.
pub(super) fn summary(resource: &Resource) -> String {
    match resource.state {
        resource::State::Ready => "available".to_owned(),
        resource::State::Provisioning => format!("creating: {}", resource.message),
        resource::State::Degraded => format!("degraded: {}", resource.message),
        resource::State::Deprovisioning => "being removed".to_owned(),
        resource::State::Gone => "removed".to_owned(),
        resource::State::Failed => format!("failed: {}", resource.message),
    }
}
