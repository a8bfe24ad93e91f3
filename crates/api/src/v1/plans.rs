//! The catalogue.

use api_types::page::List;
use api_types::plan::Plan;
use axum::Json;
use axum::extract::State;
use control::Control;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view;
use crate::problem::Problem;
use crate::request::caller::Authenticated;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list_plans))
}

/// All plans that can be asked for.
#[utoipa::path(get, path = "/v1/plans", tag = "catalogue", responses((status = 200, description = "The plans", body = List<Plan>)))]
async fn list_plans(
    State(control): State<Control>,
    _caller: Authenticated,
) -> Result<Json<List<Plan>>, Problem> {
    let plans = control.plans().await?;
    Ok(Json(List { items: plans.iter().map(view::plan).collect() }))
}
