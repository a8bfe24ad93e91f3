//! Topics of a resource. The brokers are the truth; a change is accepted at once and carried out as a retried job.

use api_types::page::List;
use api_types::topic::{NewTopic, Topic, TopicChange};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use control::{Control, ResourceRef, Retention};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view;
use crate::problem::Problem;
use crate::request::body::Json;
use crate::request::caller::Authenticated;
use crate::request::precondition::IdempotencyKey;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list_topics, create_topic)).routes(routes!(
        show_topic,
        change_topic,
        delete_topic
    ))
}

/// All topics, those included that are being made or removed.
#[utoipa::path(
    get, path = "/v1/resources/{resource}/topics", tag = "topics",
    params(("resource" = String, Path, description = "The resource's name or id")),
    responses((status = 200, description = "The topics", body = List<Topic>)))]
async fn list_topics(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(resource): Path<String>,
) -> Result<axum::Json<List<Topic>>, Problem> {
    let topics = control.topics(&caller, &ResourceRef::from(resource.as_str())).await?;
    Ok(axum::Json(List { items: topics.iter().map(view::topic).collect() }))
}

/// Makes a topic. It has no partitions until the brokers have made it.
#[utoipa::path(
    post, path = "/v1/resources/{resource}/topics", tag = "topics", request_body = NewTopic,
    params(("resource" = String, Path, description = "The resource's name or id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request with the same key does nothing twice")),
    responses((status = 202, description = "Accepted", body = Topic,
        headers(("Location" = String, description = "Where the topic is")))))]
async fn create_topic(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(resource): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Json(wish): Json<NewTopic>,
) -> Result<Response, Problem> {
    let wish = control::NewTopic {
        name: wish.name,
        partitions: wish.partitions,
        replication_factor: wish.replication_factor,
        retention_ms: wish.retention_ms,
        compaction: wish.compaction,
    };
    let topic =
        control.create_topic(&caller, &ResourceRef::from(resource.as_str()), &wish, key.as_deref()).await?;
    let location = format!("/v1/resources/{resource}/topics/{}", topic.name);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], axum::Json(view::topic(&topic))).into_response())
}

/// One topic as it is now.
#[utoipa::path(
    get, path = "/v1/resources/{resource}/topics/{topic}", tag = "topics",
    params(("resource" = String, Path, description = "The resource's name or id"), ("topic" = String, Path, description = "The topic's name")),
    responses((status = 200, description = "The topic", body = Topic)))]
async fn show_topic(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path((resource, topic)): Path<(String, String)>,
) -> Result<axum::Json<Topic>, Problem> {
    let topic = control.topic(&caller, &ResourceRef::from(resource.as_str()), &topic).await?;
    Ok(axum::Json(view::topic(&topic)))
}

/// Changes a topic.
#[utoipa::path(
    patch, path = "/v1/resources/{resource}/topics/{topic}", tag = "topics", request_body = TopicChange,
    params(("resource" = String, Path, description = "The resource's name or id"), ("topic" = String, Path, description = "The topic's name")),
    responses((status = 202, description = "Accepted", body = Topic)))]
async fn change_topic(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path((resource, topic)): Path<(String, String)>,
    Json(wish): Json<TopicChange>,
) -> Result<Response, Problem> {
    let change = control::TopicChange {
        retention: wish.retention_ms.map(|ms| ms.map_or(Retention::Unlimited, Retention::Milliseconds)),
        compaction: wish.compaction,
        replication_factor: wish.replication_factor,
    };
    let topic = control.update_topic(&caller, &ResourceRef::from(resource.as_str()), &topic, &change).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(view::topic(&topic))).into_response())
}

/// Removes a topic with its records.
#[utoipa::path(
    delete, path = "/v1/resources/{resource}/topics/{topic}", tag = "topics",
    params(("resource" = String, Path, description = "The resource's name or id"), ("topic" = String, Path, description = "The topic's name")),
    responses((status = 202, description = "Accepted", body = Topic)))]
async fn delete_topic(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path((resource, topic)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let topic = control.delete_topic(&caller, &ResourceRef::from(resource.as_str()), &topic).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(view::topic(&topic))).into_response())
}
