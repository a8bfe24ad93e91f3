//! Admin HTTP: is it alive, is it ready, what does it count, what does it say about itself.
//!
//! Own port, own listener, bound to loopback by whoever configures it. It answers while logs are being recovered, so
//! that nobody kills a broker for being slow to start.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use telemetry::logs::LevelHandle;

use crate::metrics::Metrics;
use crate::status::{State, Status};

/// What `/v1/status` says that does not change while the process runs.
#[derive(Clone, Debug, Serialize)]
pub struct Identity {
    /// This broker's id.
    pub node_id: i32,
    /// The cluster's id.
    pub cluster_id: String,
    /// What the starter called this process.
    pub instance: String,
    /// Version of the program.
    pub version: String,
    /// When it started.
    pub started_at_ms: i64,
    /// Where it listens, by protocol.
    pub listeners: std::collections::BTreeMap<String, String>,
}

/// What the pages are made of.
pub struct Admin {
    /// How far the broker is.
    pub status: Arc<Status>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Known once the data directory was read.
    pub identity: std::sync::OnceLock<Identity>,
    /// Changes the log level.
    pub level: LevelHandle,
}

#[derive(Serialize)]
struct Recovering {
    done: usize,
    total: usize,
}

#[derive(Serialize)]
struct StatusPage {
    #[serde(flatten)]
    identity: Option<Identity>,
    state: &'static str,
    recovering: Recovering,
    topics: i64,
    partitions: i64,
}

#[derive(Serialize, Deserialize)]
struct Level {
    level: String,
}

#[derive(Serialize)]
struct Problem {
    error: String,
}

/// The routes.
pub fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .route("/v1/log-level", get(level).put(set_level))
        .with_state(admin)
}

async fn readyz(Shared(admin): Shared<Arc<Admin>>) -> Response {
    let (recovered, total) = admin.status.recovery();
    match admin.status.state() {
        State::Ready => (StatusCode::OK, Json(serde_json::json!({"state": "ready"}))),
        State::Recovering => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(serde_json::json!({"state": "recovering", "recovered": recovered, "total": total})),
        ),
        state => (StatusCode::SERVICE_UNAVAILABLE, Json(serde_json::json!({"state": state.name()}))),
    }
    .into_response()
}

async fn metrics(Shared(admin): Shared<Arc<Admin>>) -> Response {
    ([(header::CONTENT_TYPE, telemetry::metrics::MEDIA_TYPE)], admin.metrics.page()).into_response()
}

async fn status(Shared(admin): Shared<Arc<Admin>>) -> Response {
    let (done, total) = admin.status.recovery();
    Json(StatusPage {
        identity: admin.identity.get().cloned(),
        state: admin.status.state().name(),
        recovering: Recovering { done, total },
        topics: admin.metrics.topics.get(),
        partitions: admin.metrics.partitions.get(),
    })
    .into_response()
}

async fn level(Shared(admin): Shared<Arc<Admin>>) -> Response {
    Json(Level { level: admin.level.current() }).into_response()
}

async fn set_level(Shared(admin): Shared<Arc<Admin>>, Json(wanted): Json<Level>) -> Response {
    match admin.level.set(&wanted.level) {
        Ok(()) => {
            tracing::info!(filter = %wanted.level, "log level changed");
            Json(wanted).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, Json(Problem { error: error.to_string() })).into_response(),
    }
}
