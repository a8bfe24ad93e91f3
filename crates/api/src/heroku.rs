//! What the unmodified `heroku` command line with its `heroku-kafka` plugin asks for: the data API under
//! `/data/kafka/v0/clusters/{id}`, and the few paths of the Platform API with which it finds a cluster.
//!
//! It is the same use cases as `/v1` under other names. What is peculiar to this front, each found by running the
//! command line:
//!
//! - Numbers may come as strings (`"8"`), and the same fields as numbers from other clients ([`number`]).
//! - Keys may end in a question mark: `waiting?`.
//! - A missing or removed cluster answers 404 or 410 **without** a `message` on exactly two paths, cluster and
//!   `wait_status`: with one, the command line waits for it forever. Everything else that fails carries `{id, message}`.
//! - While a cluster is being made, `wait_status` answers 200 with `waiting?: true`.
//! - Objects that it reads into (`state`, `robot`, `limits`, `capabilities`, `topics`) must always be there, and
//!   `limits.data_size` whenever there is a `data_size`.
//! - Changes are answered at once with `{id, message}`; the truth is in the next list.

mod addons;
mod attachments;
mod cluster;
mod config_vars;
mod consumer_groups;
mod number;
mod topics;
mod unsupported;
mod wait_status;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use control::{Control, ResourceRef};
use serde_json::{Value, json};

use crate::problem::render::WithoutMessage;
use crate::problem::{Problem, registry};

/// The add-on service that the plugin recognises its clusters by: `heroku-kafka:dev` is the plan `dev`.
pub const SERVICE: &str = "heroku-kafka";

const CLUSTER: &str = "/data/kafka/v0/clusters/{cluster}";

pub(crate) fn router() -> Router<Control> {
    let mut routes = Router::new()
        .merge(attachments::routes())
        .merge(addons::routes())
        .merge(config_vars::routes())
        .merge(cluster::routes())
        .merge(wait_status::routes())
        .merge(topics::routes())
        .merge(consumer_groups::routes())
        .merge(unsupported::routes());
    for tree in ["/data", "/actions"] {
        routes = routes.route(&format!("{tree}/{{*rest}}"), any(no_such_path));
    }
    routes
}

async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("this part of Heroku's API is not served here: {}", uri.path());
    Problem::new(&registry::NO_SUCH_PATH, detail)
}

/// The cluster in the path: the id of the add-on.
struct Cluster(ResourceRef);

impl<S: Send + Sync> FromRequestParts<S> for Cluster {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = axum::extract::RawPathParams::from_request_parts(parts, state).await.ok();
        let cluster = params.as_ref().and_then(|params| params.iter().find(|(name, _)| *name == "cluster"));
        let (_, id) = cluster.unwrap_or_default();
        Ok(Cluster(ResourceRef::from(id)))
    }
}

/// A problem whose 404 and 410 must carry no `message`.
struct Silently(Problem);

impl From<control::Problem> for Silently {
    fn from(problem: control::Problem) -> Silently {
        Silently(problem.into())
    }
}

impl IntoResponse for Silently {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(WithoutMessage);
        response
    }
}

/// The answer to a change: what was accepted, for people.
fn accepted(message: String) -> Response {
    (StatusCode::ACCEPTED, axum::Json(json!({ "id": "accepted", "message": message }))).into_response()
}

/// A 404 that names the kind of thing in Heroku's words; the plugin goes on looking when it reads this.
fn not_found(resource: &str, message: String) -> Response {
    let body: Value = json!({ "id": "not_found", "resource": resource, "message": message });
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}
