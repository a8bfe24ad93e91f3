//! Every request has an id, which is in the log, in the audit trail, in each problem and in the answer's head.
//!
//! A caller may bring one. Heroku's command line brings a list that grows with each request of one command; its last
//! entry is the request at hand.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

/// The header, in both directions.
pub const HEADER: HeaderName = HeaderName::from_static("request-id");

/// The longest id that is taken over: a UUID or a trace id fits twice.
const LONGEST: usize = 80;

/// The id of a request.
#[derive(Clone, Debug)]
pub struct RequestId(String);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_caller(header: &HeaderValue) -> Option<RequestId> {
        let last = header.to_str().ok()?.rsplit(',').next()?.trim();
        let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        let usable = !last.is_empty() && last.len() <= LONGEST && last.chars().all(harmless);
        usable.then(|| RequestId(last.to_owned()))
    }
}

/// Gives the request its id and writes it into the answer.
pub(crate) async fn assign(mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(HEADER)
        .and_then(RequestId::from_caller)
        .unwrap_or_else(|| RequestId(Uuid::new_v4().to_string()));
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(header: &'static str) -> Option<String> {
        RequestId::from_caller(&HeaderValue::from_static(header)).map(|id| id.0)
    }

    #[test]
    fn the_last_of_a_list_is_taken_and_nonsense_is_not() {
        assert_eq!(taken("a-1,b-2, c-3"), Some("c-3".to_owned()));
        assert_eq!(taken(""), None);
        assert_eq!(taken("a\tb"), None);
        assert_eq!(taken("<script>"), None);
    }
}
