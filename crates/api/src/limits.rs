//! What keeps one request from taking the process with it: a deadline, and a net under panics.

use std::any::Any;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::{Problem, registry};

/// How long an answer may take. The slowest use case asks brokers for metadata and gives up on them after a few
/// seconds; clients give up after 30 to 60, and are better told by us than by their own timer.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);

/// Answers for a handler that does not. What it was doing is dropped; a transaction in it is rolled back.
pub(crate) async fn answer_in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            &registry::TIMED_OUT,
            format!("the answer was not there within {} seconds", ANSWER_WITHIN.as_secs()),
        )
        .into_response(),
    }
}

/// A panic in a handler is our bug: it is logged with its text and costs one request.
pub(crate) fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned());
    Problem::new(&registry::INTERNAL, "the server made a mistake while it worked on this request".to_owned())
        .with_private_detail(format!("a handler panicked: {text}"))
        .into_response()
}
