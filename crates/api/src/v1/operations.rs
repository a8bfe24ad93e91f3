//! What takes time, and what it waits for.

use api_types::Page;
use api_types::operation::Operation;
use axum::Json;
use axum::extract::{Path, State};
use control::{Control, ResourceRef};
use model::OperationId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view;
use crate::problem::{Problem, registry};
use crate::request::caller::Authenticated;
use crate::request::paging::{self, Parameters, ResourcePaging};

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list_operations)).routes(routes!(show_operation))
}

/// The caller's operations, finished ones included.
#[utoipa::path(
    get, path = "/v1/operations", tag = "operations", params(ResourcePaging),
    responses((status = 200, description = "One page", body = Page<Operation>)))]
async fn list_operations(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Parameters(which): Parameters<ResourcePaging>,
) -> Result<Json<Page<Operation>>, Problem> {
    let resource = which.resource.as_deref().map(ResourceRef::from);
    let page = paging::page(which.after, which.limit);
    let page = control.operations(&caller, resource.as_ref(), page).await?;
    Ok(Json(Page { items: page.items.iter().map(view::operation).collect(), next: page.next }))
}

/// One operation as it is now: its steps, and what it waits for.
#[utoipa::path(
    get, path = "/v1/operations/{operation}", tag = "operations",
    params(("operation" = Uuid, Path, description = "Its id")),
    responses((status = 200, description = "The operation", body = Operation)))]
async fn show_operation(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Path(operation): Path<String>,
) -> Result<Json<Operation>, Problem> {
    let id: OperationId = operation
        .parse()
        .map_err(|_| Problem::new(&registry::NOT_FOUND, format!("no operation has the id {operation:?}")))?;
    Ok(Json(view::operation(&control.operation(&caller, id).await?)))
}
