//! Problems become bodies: RFC 9457 for our own API, `{id, message}` for Heroku's command line. Errors are logged
//! here and nowhere else.

use axum::Json;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Problem, registry};
use crate::request::id::RequestId;

/// The body of our own API.
pub(crate) async fn as_problem_json(request: Request, next: Next) -> Response {
    let id = request_id(&request);
    rendered(next.run(request).await, &id, |problem| {
        let body = api_types::Problem {
            kind: format!("/v1/problems#{}", problem.kind.code),
            title: problem.kind.meaning.to_owned(),
            status: problem.kind.status.as_u16(),
            code: problem.kind.code.to_owned(),
            detail: problem.detail.clone(),
            advice: problem.kind.advice.to_owned(),
            request_id: id.clone(),
            field: problem.field.clone(),
            current_generation: problem.current_generation.map(|generation| generation.0),
            retry_after_seconds: problem.retry_after_seconds,
        };
        let media_type = HeaderValue::from_static(api_types::problem::MEDIA_TYPE);
        ([(CONTENT_TYPE, media_type)], Json(body)).into_response()
    })
}

/// The body that Heroku's command line reads. Its plugin finds out that a cluster is missing or gone only when the
/// body has no `message`: with one it asks `wait_status` forever. Which paths those are is known by their routes,
/// which attach [`WithoutMessage`].
pub(crate) async fn as_heroku_error(request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let response = next.run(request).await;
    let silent = response.extensions().get::<WithoutMessage>().is_some();
    rendered(response, &id, |problem| {
        let code = problem.kind.code.replace('-', "_");
        let missing = matches!(problem.kind.status, StatusCode::NOT_FOUND | StatusCode::GONE);
        let body = if missing && silent {
            json!({ "id": code })
        } else {
            json!({ "id": code, "message": sentence(&problem.detail) })
        };
        Json(body).into_response()
    })
}

/// Attached to a response whose 404 and 410 must carry no `message`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WithoutMessage;

fn request_id(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned()).unwrap_or_default()
}

fn rendered(response: Response, request_id: &str, body: impl FnOnce(&Problem) -> Response) -> Response {
    let (mut parts, original_body) = response.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        // The router answers a wrong method by itself, and writes `Allow` after us.
        None if parts.status == StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(&registry::METHOD_NOT_ALLOWED, "this path does not take this method".to_owned())
        }
        None => return Response::from_parts(parts, original_body),
    };
    log(&problem, request_id);
    let (body_parts, rendered_body) = body(&problem).into_parts();
    parts.status = problem.kind.status;
    parts.headers.extend(body_parts.headers);
    if problem.kind.status == StatusCode::UNAUTHORIZED {
        parts.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"penstock\""));
    }
    if let Some(seconds) = problem.retry_after_seconds {
        parts.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    // What was said about the length of the body that is replaced is no longer true.
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(parts, rendered_body)
}

/// Our mistakes are errors. An outage is logged by whoever watches the thing that is out, once, not once a request.
fn log(problem: &Problem, request_id: &str) {
    let code = problem.kind.code;
    let private = problem.private_detail.as_deref().unwrap_or_default();
    if *problem.kind == registry::INTERNAL {
        tracing::error!(request.id = request_id, problem = code, "could not answer a request: {private}");
    } else if !private.is_empty() {
        tracing::info!(request.id = request_id, problem = code, "could not answer a request: {private}");
    }
}

/// The domain's sentences start in lower case and have no final stop; alone on a line they get both.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut sentence: String =
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}
