//! The registry of problems, readable without a token: whoever has none still wants to know what went wrong.

use api_types::page::List;
use api_types::problem::Kind;
use axum::Json;
use control::Control;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::registry;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list_problems))
}

/// Every code that a problem can carry, with its status, its meaning and what to do about it.
#[utoipa::path(get, path = "/v1/problems", tag = "catalogue", responses((status = 200, description = "The registry", body = List<Kind>)))]
async fn list_problems() -> Json<List<Kind>> {
    let kinds = registry::ALL.iter().map(|kind| Kind {
        code: kind.code.to_owned(),
        status: kind.status.as_u16(),
        meaning: kind.meaning.to_owned(),
        advice: kind.advice.to_owned(),
    });
    Json(List { items: kinds.collect() })
}
