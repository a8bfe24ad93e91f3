//! What `kafka:wait` polls.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use control::Control;
use model::resource;
use serde_json::{Value, json};

use super::{CLUSTER, Cluster, Silently, cluster};
use crate::request::caller::Authenticated;

pub(super) fn routes() -> Router<Control> {
    Router::new().route(&format!("{CLUSTER}/wait_status"), get(show))
}

async fn show(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Cluster(cluster): Cluster,
) -> Result<Json<Value>, Silently> {
    let resource = control.resource(&caller, &cluster).await?;
    Ok(Json(json!({
        // Degraded is not waited for: it heals or it does not, and clients can use what is there.
        "waiting?": resource.state.is_waiting(),
        "healthy?": resource.state == resource::State::Ready,
        "error?": resource.state == resource::State::Failed,
        "message": cluster::summary(&resource),
    })))
}
