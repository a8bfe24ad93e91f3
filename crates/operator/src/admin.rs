//! Admin HTTP: is it alive, can it work, what does it count.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::caches::Caches;
use crate::metrics::Metrics;

/// What the pages are made of.
#[derive(Clone, Debug)]
pub struct Admin {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What was seen.
    pub caches: Caches,
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

/// Ready is who could work at once, whether it leads or not: otherwise one of two would never be ready.
async fn readyz(State(admin): State<Admin>) -> Response {
    let unfilled = admin.caches.unfilled();
    match unfilled.is_empty() {
        true => (StatusCode::OK, "ok\n".to_owned()).into_response(),
        false => {
            let missing = format!("not seen yet: {}\n", unfilled.join(", "));
            (StatusCode::SERVICE_UNAVAILABLE, missing).into_response()
        }
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    ([(header::CONTENT_TYPE, telemetry::metrics::MEDIA_TYPE)], admin.metrics.page()).into_response()
}
