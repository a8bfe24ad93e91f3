//! Add-ons by name or id: what the plugin tries when a name is no attachment's.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use control::{Control, Problem as Domain, Resource, ResourceRef};
use model::resource;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{SERVICE, not_found};
use crate::problem::Problem;
use crate::request::body;
use crate::request::caller::Authenticated;

pub(super) fn routes() -> Router<Control> {
    Router::new().route("/actions/addons/resolve", post(resolve))
}

#[derive(Debug, Deserialize)]
struct Wanted {
    addon: String,
}

async fn resolve(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    body::Json(wanted): body::Json<Wanted>,
) -> Result<Response, Problem> {
    match control.resource(&caller, &ResourceRef::from(wanted.addon.as_str())).await {
        Ok(resource) => Ok(Json(vec![shown(&resource)]).into_response()),
        Err(Domain::NotFound { .. } | Domain::Gone { .. }) => {
            Ok(not_found("add_on", format!("Couldn't find an add-on called {}.", wanted.addon)))
        }
        Err(problem) => Err(problem.into()),
    }
}

fn shown(resource: &Resource) -> Value {
    let app = resource.app.as_ref().map(|app| json!({ "id": app.id, "name": app.name }));
    json!({
        "id": resource.id,
        "name": resource.name,
        "app": app,
        "addon_service": { "name": SERVICE },
        "plan": { "name": format!("{SERVICE}:{}", resource.plan.name) },
        "state": match resource.state {
            resource::State::Provisioning => "provisioning",
            resource::State::Ready | resource::State::Degraded => "provisioned",
            resource::State::Deprovisioning => "deprovisioning",
            resource::State::Gone | resource::State::Failed => "deprovisioned",
        },
    })
}
