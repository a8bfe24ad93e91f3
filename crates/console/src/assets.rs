//! Files that pages refer to, compiled in. Their names carry their version, so a browser may keep them for ever.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The style sheet's name; a change of its content needs a new one.
pub(crate) const STYLE: &str = "console-2.css";

/// The mark in a browser's tab.
pub(crate) const ICON: &str = "icon-1.svg";

/// htmx, unchanged from its npm package (0BSD).
pub(crate) const HTMX: &str = "htmx-4.0.1.min.js";

pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, content) = match name.as_str() {
        STYLE => ("text/css; charset=utf-8", include_str!("../assets/console.css")),
        ICON => ("image/svg+xml", include_str!("../assets/icon.svg")),
        HTMX => ("text/javascript; charset=utf-8", include_str!("../assets/htmx-4.0.1.min.js")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, content).into_response()
}
