//! Bodies: JSON, small, and refused with the place of the mistake.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, EXPECT};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use crate::problem::{Problem, registry};

/// The largest body. The largest that makes sense is a topic with a name of 249 characters: some 400 bytes.
pub const LARGEST_BYTES: usize = 64 * 1024;

/// How much of a body that is too large is received and thrown away, so that a caller who is still sending reads our
/// answer instead of a broken connection, and for how long. Costs a socket buffer of memory, whatever the size.
const DISCARD_BYTES: usize = 256 * 1024 * 1024;
const DISCARD_FOR: Duration = Duration::from_secs(10);

/// The body of a request, read as JSON.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            let detail = "this path takes a body with Content-Type: application/json".to_owned();
            return Err(Problem::new(&registry::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = read(&parts.headers, body).await?;
        parse(&bytes).map(Json)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read(headers: &HeaderMap, mut body: Body) -> Result<Vec<u8>, Problem> {
    let announced = body.size_hint().lower();
    if announced > LARGEST_BYTES as u64 {
        // Who asks before sending is answered; who sends without asking is listened to for a while.
        if !headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(too_large(&format!("{announced} bytes were announced")));
    }
    match Limited::new(&mut body, LARGEST_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            discard(body).await;
            Err(too_large("more was sent"))
        }
        Err(error) => {
            let detail = format!("the body could not be read to its end: {error}");
            Err(Problem::new(&registry::MALFORMED_BODY, detail))
        }
    }
}

async fn discard(mut body: Body) {
    let all = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, |data| data.len());
            if seen > DISCARD_BYTES {
                break;
            }
        }
    };
    // Either way the answer follows.
    let _ = tokio::time::timeout(DISCARD_FOR, all).await;
}

fn too_large(what: &str) -> Problem {
    let detail = format!("a body has at most {LARGEST_BYTES} bytes; {what}");
    Problem::new(&registry::BODY_TOO_LARGE, detail)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let path = error.path().to_string();
        let detail = match path.as_str() {
            "." | "?" => format!("the body is not what is expected: {}", error.inner()),
            path => format!("the body is not what is expected at `{path}`: {}", error.inner()),
        };
        let problem = Problem::new(&registry::MALFORMED_BODY, detail);
        if path.starts_with(['.', '?']) { problem } else { problem.with_field(&path) }
    })?;
    input.end().map_err(|error| {
        Problem::new(&registry::MALFORMED_BODY, format!("something follows the JSON of the body: {error}"))
    })?;
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use api_types::topic::NewTopic;
    use axum::http::StatusCode;

    use super::*;

    fn refused(json: &str) -> String {
        let problem = parse::<NewTopic>(json.as_bytes()).unwrap_err();
        assert_eq!(problem.kind().status, StatusCode::BAD_REQUEST);
        problem.detail().to_owned()
    }

    #[test]
    fn the_place_of_a_mistake_is_named() {
        assert!(refused(r#"{"name":"a",}"#).contains("line 1 column 13"), "{}", refused(r#"{"name":"a",}"#));
        assert!(refused(r#"{"name":"a","partitions":"x"}"#).contains("at `partitions`"));
        assert!(refused("{}").contains("missing field `name`"));
        assert!(refused(r#"{"name":"a"} {"#).contains("something follows"));
        assert!(refused("").contains("EOF"));
    }

    #[tokio::test]
    async fn a_body_without_end_is_cut_off() {
        let frames = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
        let problem = read(&HeaderMap::new(), Body::from_stream(frames)).await.unwrap_err();
        assert_eq!(problem.kind().status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
