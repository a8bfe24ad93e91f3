//! Consumer groups need no permission on a cluster of one's own: the answers are fixed.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use control::Control;
use serde_json::{Value, json};

use axum::http::StatusCode;

use super::{CLUSTER, Cluster};
use crate::problem::Problem;
use crate::request::caller::Authenticated;

/// The plugin compares this text and turns it into a warning.
const NOT_REQUIRED: &str = "this command is not required or enabled on dedicated clusters";

pub(super) fn routes() -> Router<Control> {
    Router::new().route(&format!("{CLUSTER}/consumer_groups"), get(list).post(refuse).delete(refuse))
}

async fn list(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Cluster(cluster): Cluster,
) -> Result<Json<Value>, Problem> {
    let resource = control.resource(&caller, &cluster).await?;
    Ok(Json(json!({ "attachment_name": resource.attachment, "consumer_groups": [] })))
}

async fn refuse(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Cluster(cluster): Cluster,
) -> Result<(StatusCode, Json<Value>), Problem> {
    control.resource(&caller, &cluster).await?;
    Ok((StatusCode::BAD_REQUEST, Json(json!({ "id": "bad_request", "message": NOT_REQUIRED }))))
}
