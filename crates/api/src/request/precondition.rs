//! Headers that make a change safe to repeat (`Idempotency-Key`) and safe against others' changes (`If-Match`).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use model::Generation;

use crate::problem::{Problem, registry};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key: a UUID or a hash fits several times. It becomes part of an index in Postgres.
const LONGEST_KEY: usize = 200;

/// The key under which a POST may be repeated, if the caller sent one.
#[derive(Debug)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(header) = parts.headers.get(&IDEMPOTENCY_KEY) else { return Ok(IdempotencyKey(None)) };
        let usable = header.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
        let key = usable.ok_or_else(|| {
            bad_header("Idempotency-Key", &format!("it has 1 to {LONGEST_KEY} printable ASCII characters"))
        })?;
        Ok(IdempotencyKey(Some(key.to_owned())))
    }
}

/// The generation on which a change is to be made, if the caller named one.
#[derive(Debug)]
pub struct IfMatch(pub Option<Generation>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(header) = parts.headers.get(header::IF_MATCH) else { return Ok(IfMatch(None)) };
        let text = header.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(IfMatch(None));
        }
        let generation = text.trim_matches('"').parse().map_err(|_| {
            bad_header(
                "If-Match",
                "it is the ETag of the resource, for instance \"3\" with its quotation marks, or *",
            )
        })?;
        Ok(IfMatch(Some(Generation(generation))))
    }
}

/// A generation as an `ETag`.
#[must_use]
pub(crate) fn etag(generation: Generation) -> [(HeaderName, HeaderValue); 1] {
    let value =
        HeaderValue::from_str(&format!("\"{generation}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
    [(header::ETAG, value)]
}

fn bad_header(name: &str, rule: &str) -> Problem {
    Problem::new(&registry::BAD_PARAMETER, format!("the header {name} cannot be understood: {rule}"))
        .with_field(name)
}
