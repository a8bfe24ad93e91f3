//! The audit trail of the caller's account.

use api_types::Page;
use api_types::audit::Event;
use axum::Json;
use axum::extract::State;
use control::Control;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view;
use crate::problem::Problem;
use crate::request::caller::Authenticated;
use crate::request::paging::{Paging, Parameters};

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list_audit_events))
}

/// Who changed what, newest first.
#[utoipa::path(
    get, path = "/v1/audit-events", tag = "account", params(Paging),
    responses((status = 200, description = "One page", body = Page<Event>)))]
async fn list_audit_events(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<Page<Event>>, Problem> {
    let page = control.audit(&caller, paging.into()).await?;
    Ok(Json(Page { items: page.items.iter().map(view::audit_event).collect(), next: page.next }))
}
