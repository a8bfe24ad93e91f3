//! HTTP in front of the use cases: our own API under `/v1`, and the paths that the unmodified `heroku` command line
//! with its `heroku-kafka` plugin speaks.
//!
//! What it deliberately does not know: SQL, Kafka, certificates, rules about plans and names (all behind
//! [`control::Control`]), sockets and TLS (the server's), HTML (`console`). A handler reads a request into the
//! arguments of one use case, calls it, and puts the result into a body of `api-types`.
//!
//! Invariants:
//! - Every error is a [`problem::Problem`] whose code, status and advice stand in [`problem::registry`] and nowhere
//!   else; each front renders it in its own way, with the id of the request.
//! - A body is read up to a limit and never beyond it ([`request::body`]).
//! - `/v1` is described by the document that [`openapi`] gives; it is built from the handlers themselves, so a route
//!   that is not in the document cannot exist.
//! - What belongs to another account answers exactly as what does not exist.
//!
//! Start reading at [`v1`]; [`heroku`] has its own page of traps.

pub mod heroku;
mod limits;
mod metrics;
pub mod problem;
pub mod request;
pub mod v1;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use control::Control;
use tower_http::catch_panic::CatchPanicLayer;

pub use metrics::Metrics;

/// All routes of both fronts. Needs [`axum::extract::ConnectInfo`] in the request's extensions to name the caller's
/// address in the audit trail.
pub fn router(control: Control, metrics: Metrics) -> Router {
    let own = common(v1::router(), problem::render::as_problem_json);
    let heroku = common(heroku::router(), problem::render::as_heroku_error);
    let neither = common(Router::new().fallback(no_such_path), problem::render::as_problem_json);
    own.merge(heroku)
        .merge(neither)
        .layer(from_fn_with_state(metrics, metrics::count))
        .layer(from_fn(request::id::assign))
        .with_state(control)
}

/// The OpenAPI document of `/v1`, as JSON with a final newline.
#[must_use]
pub fn openapi() -> String {
    v1::document()
}

async fn no_such_path(uri: axum::http::Uri) -> problem::Problem {
    problem::Problem::new(&problem::registry::NO_SUCH_PATH, format!("there is no path {}", uri.path()))
}

/// What surrounds every route, from the inside out: a panic and a late answer become problems, problems become bodies.
fn common<F, Answer>(routes: Router<Control>, render: F) -> Router<Control>
where
    F: Fn(axum::extract::Request, axum::middleware::Next) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = axum::response::Response> + Send + 'static,
{
    routes
        .layer(CatchPanicLayer::custom(limits::answer_panic))
        .layer(from_fn(limits::answer_in_time))
        .layer(from_fn(render))
}

#[cfg(test)]
mod tests;
