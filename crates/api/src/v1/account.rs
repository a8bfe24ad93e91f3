//! Who a token speaks for.

use api_types::account::Account;
use axum::Json;
use control::Control;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::request::caller::Authenticated;

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(show_account))
}

/// The account of the caller.
#[utoipa::path(get, path = "/v1/account", tag = "account", responses((status = 200, description = "The account", body = Account)))]
async fn show_account(Authenticated(caller): Authenticated) -> Result<Json<Account>, Problem> {
    Ok(Json(Account { id: caller.account.0, name: caller.account_name }))
}
