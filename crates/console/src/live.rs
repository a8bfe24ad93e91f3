//! Parts of a page: htmx asks for the page's own URL and names itself in a header; the handler then answers with the
//! block of the template that changes, and with the whole page otherwise.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// What is wanted of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    Page,
    /// The region that changes by itself.
    Region,
}

/// Caches between us and a browser must not mix up the two.
pub(crate) const VARY: &str = "HX-Request-Type";

impl<S: Sync> FromRequestParts<S> for Wanted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Wanted, Infallible> {
        let kind = parts.headers.get(VARY).and_then(|value| value.to_str().ok());
        Ok(if kind == Some("partial") { Wanted::Region } else { Wanted::Page })
    }
}
