//! The environment variables with which an application finds its cluster.

use api_types::credential::ConfigVars;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use control::{Control, ResourceRef};
use secrecy::ExposeSecret;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::request::caller::Authenticated;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(show_config_vars))
}

/// `KAFKA_URL` and its companions, secrets included.
#[utoipa::path(
    get, path = "/v1/resources/{resource}/config-vars", tag = "credentials",
    params(("resource" = String, Path, description = "The resource's name or id")),
    responses((status = 200, description = "The variables", body = ConfigVars)))]
async fn show_config_vars(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(resource): Path<String>,
) -> Result<Response, Problem> {
    let vars = control.config_vars(&caller, &ResourceRef::from(resource.as_str())).await?;
    let vars = vars.0.into_iter().map(|(name, value)| (name, value.expose_secret().to_owned()));
    Ok(([(CACHE_CONTROL, "no-store")], Json(ConfigVars(vars.collect()))).into_response())
}
