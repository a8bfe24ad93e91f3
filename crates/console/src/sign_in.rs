//! Signing in with an API token, and out.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use control::Problem;
use serde::Deserialize;

use crate::Console;
use crate::failure::{Failure, see_other};
use crate::session::{self, SignedIn};

/// Where people land who did not want anything in particular.
const HOME: &str = "/resources";

#[derive(Deserialize)]
pub(crate) struct Wish {
    return_to: Option<String>,
}

/// Cannot be printed, since it holds a secret.
#[derive(Deserialize)]
pub(crate) struct Answer {
    token: String,
    return_to: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page<'a> {
    title: &'static str,
    signed_in_as: Option<&'a str>,
    reload_seconds: Option<u32>,
    return_to: &'a str,
    refused: bool,
}

/// The sign-in page that leads back to a path of ours.
pub(crate) fn path(return_to: &str) -> String {
    let escaped: String = return_to
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("/sign-in?return_to={escaped}")
}

pub(crate) async fn form(Query(wish): Query<Wish>, signed_in: Option<SignedIn>) -> Result<Response, Failure> {
    let return_to = ours_or_home(wish.return_to.as_deref());
    match signed_in {
        Some(_) => Ok(Redirect::to(return_to).into_response()),
        None => page(return_to, false),
    }
}

pub(crate) async fn sign_in(
    State(console): State<Console>,
    Form(answer): Form<Answer>,
) -> Result<Response, Failure> {
    let return_to = ours_or_home(answer.return_to.as_deref());
    // Tokens are pasted, and pasted text often brings a line end.
    match console.control.authenticate(answer.token.trim()).await {
        Ok(caller) => see_other(return_to, &console.sessions.begin(&caller, (console.now)())?),
        Err(Problem::Unauthenticated) => page(return_to, true),
        Err(problem) => Err(Failure::Problem(problem)),
    }
}

pub(crate) async fn sign_out() -> Result<Response, Failure> {
    see_other("/sign-in", &session::end())
}

fn page(return_to: &str, refused: bool) -> Result<Response, Failure> {
    let page = Page { title: "Sign in", signed_in_as: None, reload_seconds: None, return_to, refused };
    let status = if refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, Html(page.render()?)).into_response())
}

/// Only paths of this console are gone back to: a link to the sign-in page must not lead elsewhere.
fn ours_or_home(return_to: Option<&str>) -> &str {
    return_to
        .filter(|path| path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']))
        .unwrap_or(HOME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_returned_to() {
        assert_eq!(ours_or_home(Some("/resources?after=1")), "/resources?after=1");
        for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", "", "/a\r\nb"] {
            assert_eq!(ours_or_home(Some(elsewhere)), HOME, "{elsewhere:?}");
        }
        assert_eq!(path("/resources?after=1"), "/sign-in?return_to=/resources%3Fafter%3D1");
    }
}
