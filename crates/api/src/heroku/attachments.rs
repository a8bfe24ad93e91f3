//! Attachments: how the command line gets from an application and a name like `KAFKA` to a cluster.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use control::{Attachment, AttachmentFilter, Control, ResourceRef};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{SERVICE, not_found};
use crate::problem::Problem;
use crate::request::body;
use crate::request::caller::Authenticated;

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route("/apps/{app}/addon-attachments", get(of_app))
        .route("/apps/{app}/addon-attachments/{name}", get(by_name))
        .route("/addons/{addon}/addon-attachments", get(of_addon))
        .route("/actions/addon-attachments/resolve", post(resolve))
}

async fn of_app(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(app): Path<String>,
) -> Result<Json<Vec<Value>>, Problem> {
    let attachments = control.attachments(&caller, AttachmentFilter::App(app)).await?;
    Ok(Json(attachments.iter().map(shown).collect()))
}

async fn of_addon(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(addon): Path<String>,
) -> Result<Json<Vec<Value>>, Problem> {
    let filter = AttachmentFilter::Resource(ResourceRef::from(addon.as_str()));
    let attachments = control.attachments(&caller, filter).await?;
    Ok(Json(attachments.iter().map(shown).collect()))
}

/// The name may be the attachment's or, as `kafka:topics:tail` sends it, the add-on's.
async fn by_name(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path((app, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let attachments = control.attachments(&caller, AttachmentFilter::App(app.clone())).await?;
    let found = attachments
        .iter()
        .find(|attachment| is_called(attachment, &name) || attachment.resource_name == name);
    Ok(found.map_or_else(|| missing(&name, Some(&app)), |attachment| Json(shown(attachment)).into_response()))
}

#[derive(Debug, Deserialize)]
struct Wanted {
    app: Option<String>,
    addon_attachment: String,
}

/// An attachment by name: of one application, or, written `app::NAME`, of any.
async fn resolve(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    body::Json(wanted): body::Json<Wanted>,
) -> Result<Response, Problem> {
    let (app, name) = match wanted.addon_attachment.split_once("::") {
        Some((app, name)) => (Some(app.to_owned()), name),
        None => (wanted.app, wanted.addon_attachment.as_str()),
    };
    let filter = app.clone().map_or(AttachmentFilter::All, AttachmentFilter::App);
    let attachments = control.attachments(&caller, filter).await?;
    let found: Vec<Value> =
        attachments.iter().filter(|attachment| is_called(attachment, name)).map(shown).collect();
    Ok(if found.is_empty() { missing(name, app.as_deref()) } else { Json(found).into_response() })
}

/// `KAFKA` is also known by its variable, `KAFKA_URL`.
fn is_called(attachment: &Attachment, name: &str) -> bool {
    attachment.name == name || name.strip_suffix("_URL").is_some_and(|prefix| attachment.name == prefix)
}

fn missing(name: &str, app: Option<&str>) -> Response {
    let place = app.map(|app| format!(" on {app}")).unwrap_or_default();
    not_found("add_on attachment", format!("Couldn't find an attachment called {name}{place}."))
}

/// An attachment with the add-on and its plan inside, which serves every inclusion that the plugin asks for.
fn shown(attachment: &Attachment) -> Value {
    let app = json!({ "id": attachment.app.id, "name": attachment.app.name });
    json!({
        "id": attachment.id,
        "name": attachment.name,
        "namespace": null,
        "app": app,
        "addon": {
            "id": attachment.resource,
            "name": attachment.resource_name,
            "app": app,
            "plan": { "name": format!("{SERVICE}:{}", attachment.plan_name) },
        },
        "config_vars": attachment.config_var_names,
    })
}
