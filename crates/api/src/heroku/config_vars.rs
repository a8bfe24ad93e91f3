//! All config vars of an application, as a flat map of values.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use control::{AttachmentFilter, Control, Problem as Domain, ResourceRef};
use secrecy::ExposeSecret;

use crate::problem::Problem;
use crate::request::caller::Authenticated;

pub(super) fn routes() -> Router<Control> {
    Router::new().route("/apps/{app}/config-vars", get(of_app))
}

async fn of_app(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(app): Path<String>,
) -> Result<Response, Problem> {
    let mut all = BTreeMap::new();
    for attachment in control.attachments(&caller, AttachmentFilter::App(app)).await? {
        match control.config_vars(&caller, &ResourceRef::Id(attachment.resource)).await {
            Ok(vars) => {
                all.extend(vars.0.into_iter().map(|(name, value)| (name, value.expose_secret().to_owned())));
            }
            // What is not ready has no variables yet; the application's others are still worth showing.
            Err(Domain::NotReady { .. } | Domain::Gone { .. }) => {}
            Err(problem) => return Err(problem.into()),
        }
    }
    Ok(([(CACHE_CONTROL, "no-store")], Json(all)).into_response())
}
