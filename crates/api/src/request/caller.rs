//! Who calls. A token comes as `Bearer`, or, as some clients of Heroku's API do, as the password of `Basic`.

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use control::{Caller, Control, Origin};
use std::net::SocketAddr;

use super::id::RequestId;
use crate::problem::{Problem, registry};

/// A caller whose token is valid.
#[derive(Debug)]
pub struct Authenticated(pub Caller);

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    Control: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = token(parts)?;
        let caller = Control::from_ref(state).authenticate(&token).await?;
        Ok(Authenticated(caller.from(origin(parts))))
    }
}

/// From where a request comes, for the audit trail.
pub(crate) fn origin(parts: &Parts) -> Origin {
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let request_id = parts.extensions.get::<RequestId>();
    Origin {
        address: address.map(|ConnectInfo(address)| address.ip().to_string()),
        request_id: request_id.map(|id| id.as_str().to_owned()),
    }
}

fn token(parts: &Parts) -> Result<String, Problem> {
    let refuse = |detail: &str| Problem::new(&registry::UNAUTHENTICATED, detail.to_owned());
    let Some(header) = parts.headers.get(AUTHORIZATION) else {
        return Err(refuse("the request has no Authorization header"));
    };
    let header = header.to_str().map_err(|_| refuse("the Authorization header is not text"))?;
    let (scheme, credentials) = header.split_once(' ').unwrap_or((header, ""));
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !credentials.is_empty() {
        return Ok(credentials.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(credentials).ok();
        let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((_, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
            return Ok(password.to_owned());
        }
    }
    Err(refuse("the Authorization header is not `Bearer <token>`"))
}
