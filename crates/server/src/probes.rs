//! What watches the process: `/livez`, `/readyz`, `/metrics`. No token: they say nothing about tenants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use control::Control;
use serde_json::{Value, json};
use telemetry::Registry;

/// Whether the platform is prepared; set once, by [`crate::platform`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Prepared(Arc<AtomicBool>);

impl Prepared {
    /// From now on requests can be answered.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Clone)]
struct Probed {
    control: Control,
    registry: Registry,
    prepared: Prepared,
}

pub(crate) fn routes(control: Control, registry: Registry, prepared: Prepared) -> Router {
    Router::new()
        .route("/livez", get(|| async { Json(json!({ "state": "live" })) }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Probed { control, registry, prepared })
}

/// Ready is whoever can answer requests now: prepared, and Postgres there.
async fn ready(State(probed): State<Probed>) -> (StatusCode, Json<Value>) {
    if !probed.prepared.get() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "state": "starting" })));
    }
    match probed.control.reachable().await {
        Ok(()) => (StatusCode::OK, Json(json!({ "state": "ready" }))),
        Err(problem) => {
            let body = json!({ "state": "waiting", "message": problem.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
    }
}

async fn metrics(State(probed): State<Probed>) -> Response {
    ([(CONTENT_TYPE, telemetry::metrics::MEDIA_TYPE)], probed.registry.page()).into_response()
}
