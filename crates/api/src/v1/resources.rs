//! Add-ons: ask for one, look at it, give it back.

use api_types::Page;
use api_types::resource::{Accepted, NewResource, Resource};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use control::{Control, CreateResource, ResourceRef};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view;
use crate::problem::Problem;
use crate::request::body::Json;
use crate::request::caller::Authenticated;
use crate::request::paging::{Paging, Parameters};
use crate::request::precondition::{IdempotencyKey, IfMatch, etag};

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list_resources, create_resource))
        .routes(routes!(show_resource, destroy_resource))
}

/// The caller's resources; those that are gone are left out.
#[utoipa::path(
    get, path = "/v1/resources", tag = "resources", params(Paging),
    responses((status = 200, description = "One page", body = Page<Resource>)))]
async fn list_resources(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Parameters(paging): Parameters<Paging>,
) -> Result<axum::Json<Page<Resource>>, Problem> {
    let page = control.resources(&caller, paging.into()).await?;
    Ok(axum::Json(Page { items: page.items.iter().map(view::resource).collect(), next: page.next }))
}

/// Asks for a new resource. It is usable once the operation has succeeded.
#[utoipa::path(
    post, path = "/v1/resources", tag = "resources", request_body = NewResource,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeating a request with the same key gives the same answer and does nothing twice")),
    responses((status = 202, description = "Accepted", body = Accepted,
        headers(("Location" = String, description = "The operation to follow"), ("ETag" = String, description = "The generation")))))]
async fn create_resource(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    IdempotencyKey(key): IdempotencyKey,
    Json(wish): Json<NewResource>,
) -> Result<Response, Problem> {
    let wish = CreateResource { name: wish.name, app: wish.app, plan: wish.plan, region: wish.region };
    let accepted = control.create_resource(&caller, &wish, key.as_deref()).await?;
    Ok(accept(&accepted))
}

/// One resource as it is now.
#[utoipa::path(
    get, path = "/v1/resources/{resource}", tag = "resources",
    params(("resource" = String, Path, description = "Its name or id")),
    responses((status = 200, description = "The resource", body = Resource,
        headers(("ETag" = String, description = "The generation, for `If-Match`")))))]
async fn show_resource(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(resource): Path<String>,
) -> Result<Response, Problem> {
    let resource = control.resource(&caller, &ResourceRef::from(resource.as_str())).await?;
    Ok((etag(resource.generation), axum::Json(view::resource(&resource))).into_response())
}

/// Gives a resource back. Its data is deleted.
#[utoipa::path(
    delete, path = "/v1/resources/{resource}", tag = "resources",
    params(("resource" = String, Path, description = "Its name or id"),
        ("If-Match" = Option<String>, Header, description = "The generation that you have seen; refused if it is no longer current")),
    responses((status = 202, description = "Accepted", body = Accepted,
        headers(("Location" = String, description = "The operation to follow")))))]
async fn destroy_resource(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(resource): Path<String>,
    IfMatch(seen): IfMatch,
) -> Result<Response, Problem> {
    let accepted = control.destroy_resource(&caller, &ResourceRef::from(resource.as_str()), seen).await?;
    Ok(accept(&accepted))
}

fn accept(accepted: &control::Accepted) -> Response {
    let location = format!("/v1/operations/{}", accepted.operation.id);
    let body = Accepted {
        operation: view::operation(&accepted.operation),
        resource: view::resource(&accepted.resource),
    };
    let head = (StatusCode::ACCEPTED, etag(accepted.resource.generation), [(LOCATION, location)]);
    (head.0, head.1, head.2, axum::Json(body)).into_response()
}
