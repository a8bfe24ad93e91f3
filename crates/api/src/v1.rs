//! Our own API: one file for each kind of thing, and the OpenAPI document that they add up to.
//!
//! Rules that hold for all of them: plural nouns; ids or names in the path; lists come in pages by key; a POST may be
//! repeated with the same `Idempotency-Key`; what takes time answers 202 with an operation and its `Location`;
//! `ETag` and `If-Match` are the generation of what is wanted.

mod account;
mod apps;
mod audit_events;
mod config_vars;
mod credentials;
mod document;
mod operations;
mod plans;
mod problems;
mod resources;
mod topics;
mod view;

use axum::Router;
use control::Control;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub(crate) fn router() -> Router<Control> {
    described().split_for_parts().0
}

pub(crate) fn document() -> String {
    let (_, document) = described().split_for_parts();
    // The document is made of strings and numbers, which always have a JSON form.
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn described() -> OpenApiRouter<Control> {
    let mut routes = OpenApiRouter::with_openapi(document::Penstock::openapi())
        .merge(account::routes())
        .merge(plans::routes())
        .merge(apps::routes())
        .merge(resources::routes())
        .merge(operations::routes())
        .merge(topics::routes())
        .merge(credentials::routes())
        .merge(config_vars::routes())
        .merge(audit_events::routes())
        .merge(problems::routes());
    document::complete(routes.get_openapi_mut());
    routes
}
