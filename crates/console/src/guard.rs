//! What holds for every response and every mutation: a strict Content-Security-Policy, no caching of pages, and no
//! mutation that another site started.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mutation = !matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if mutation && !is_ours(&request) {
        (
            StatusCode::FORBIDDEN,
            "This form was not sent from the console's own page. Open the console and try again.",
        )
            .into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    response
}

/// Whether the browser says that the request comes from a page of ours. Browsers set one of the two headers with every
/// form that is posted; a client that sets neither is no browser and holds no cookie of ours that it should not have.
fn is_ours(request: &Request) -> bool {
    let headers = request.headers();
    if let Some(site) = text(headers, "sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(headers, "origin") else { return true };
    // HTTP/2 has the host in the URI, HTTP/1.1 in a header.
    let host = request.uri().authority().map(|host| host.as_str()).or_else(|| text(headers, "host"));
    host.is_some_and(|host| origin.strip_prefix("https://") == Some(host))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn ours(headers: &[(&str, &str)]) -> bool {
        let builder = headers.iter().fold(Request::builder(), |b, (name, value)| b.header(*name, *value));
        is_ours(&builder.body(Body::empty()).expect("a request"))
    }

    #[test]
    fn a_form_of_another_site_is_recognised_by_either_header() {
        assert!(ours(&[("sec-fetch-site", "same-origin")]));
        assert!(!ours(&[("sec-fetch-site", "cross-site")]));
        assert!(!ours(&[("sec-fetch-site", "same-site")]));
        assert!(ours(&[("host", "localhost:8443"), ("origin", "https://localhost:8443")]));
        assert!(!ours(&[("host", "localhost:8443"), ("origin", "https://evil.example")]));
        assert!(!ours(&[("host", "localhost:8443"), ("origin", "null")]));
    }
}
