//! Applications, to which resources are attached.

use api_types::app::{App, NewApp};
use api_types::page::List;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use control::Control;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view;
use crate::problem::Problem;
use crate::request::body::Json;
use crate::request::caller::Authenticated;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list_apps, create_app)).routes(routes!(show_app))
}

/// The caller's applications.
#[utoipa::path(get, path = "/v1/apps", tag = "apps", responses((status = 200, description = "The applications", body = List<App>)))]
async fn list_apps(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
) -> Result<axum::Json<List<App>>, Problem> {
    let apps = control.apps(&caller).await?;
    Ok(axum::Json(List { items: apps.iter().map(view::app).collect() }))
}

/// Makes an application.
#[utoipa::path(
    post, path = "/v1/apps", tag = "apps", request_body = NewApp,
    responses((status = 201, description = "The new application", body = App,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_app(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Json(wish): Json<NewApp>,
) -> Result<Response, Problem> {
    let app = control.create_app(&caller, &wish.name).await?;
    let location = format!("/v1/apps/{}", app.name);
    Ok((StatusCode::CREATED, [(LOCATION, location)], axum::Json(view::app(&app))).into_response())
}

/// One application.
#[utoipa::path(
    get, path = "/v1/apps/{app}", tag = "apps", params(("app" = String, Path, description = "Its name or id")),
    responses((status = 200, description = "The application", body = App)))]
async fn show_app(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(app): Path<String>,
) -> Result<axum::Json<App>, Problem> {
    Ok(axum::Json(view::app(&control.app(&caller, &app).await?)))
}
