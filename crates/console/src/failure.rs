//! What goes wrong on the way to a page, as a page: what happened, why, and what to do.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use control::Problem;
use thiserror::Error;

use crate::live::Wanted;
use crate::sign_in;

/// Why there is no page.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    SignedOut {
        /// Where to go on afterwards.
        return_to: String,
        /// A region cannot be sent elsewhere: it says so in its place.
        wanted: Wanted,
    },
    /// The use case did not happen.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// A template failed.
    #[error("cannot render a page")]
    Render(#[from] askama::Error),
}

impl Failure {
    pub(crate) fn internal(detail: String) -> Failure {
        Failure::Problem(Problem::Internal { detail })
    }
}

#[derive(Template)]
#[template(path = "failure.html", blocks = ["region"])]
struct Page<'a> {
    title: &'a str,
    signed_in_as: Option<&'a str>,
    reload_seconds: Option<u32>,
    what: &'a str,
    advice: &'a str,
    sign_in: Option<&'a str>,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::SignedOut { return_to, wanted: Wanted::Page } => {
                Redirect::to(&sign_in::path(&return_to)).into_response()
            }
            Failure::SignedOut { return_to, wanted: Wanted::Region } => render(
                StatusCode::OK,
                Page {
                    title: "Signed out",
                    signed_in_as: None,
                    reload_seconds: None,
                    what: "Your session has ended.",
                    advice: "What is shown elsewhere on this page is no longer current.",
                    sign_in: Some(&sign_in::path(&return_to)),
                },
                true,
            ),
            Failure::Problem(problem) => of_problem(&problem),
            Failure::Render(error) => {
                tracing::error!(%error, "a page could not be rendered");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

fn of_problem(problem: &Problem) -> Response {
    let (status, title) = match problem {
        Problem::NotFound { .. } => (StatusCode::NOT_FOUND, "Not found"),
        Problem::Gone { .. } => (StatusCode::GONE, "Removed"),
        Problem::Invalid { .. } | Problem::UnknownPlan { .. } => (StatusCode::BAD_REQUEST, "Not understood"),
        Problem::NotReady { .. } | Problem::Unavailable { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "Not available at the moment")
        }
        Problem::Internal { detail } => {
            tracing::error!(detail, "a page failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "Something is broken")
        }
        _ => (StatusCode::CONFLICT, "Not possible now"),
    };
    let what = format!("{}.", capitalised(&problem.to_string()));
    render(
        status,
        Page {
            title,
            signed_in_as: None,
            reload_seconds: problem.retry_after_seconds(),
            what: &what,
            advice: problem.advice(),
            sign_in: None,
        },
        false,
    )
}

fn render(status: StatusCode, page: Page<'_>, region_only: bool) -> Response {
    let html = if region_only { page.as_region().render() } else { page.render() };
    match html {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => Failure::Render(error).into_response(),
    }
}

/// Sentences of problems begin in lower case, as errors do.
fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A redirect after an accepted form, with a cookie.
pub(crate) fn see_other(to: &str, cookie: &str) -> Result<Response, Failure> {
    let mut response = Redirect::to(to).into_response();
    let cookie = HeaderValue::from_str(cookie).map_err(|error| Failure::internal(error.to_string()))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}
