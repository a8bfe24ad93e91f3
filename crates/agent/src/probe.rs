//! Asks a broker on its admin port how it is.
//!
//! Every substrate that runs the real broker asks it in this way, and only the broker's own word counts as ready. One
//! small HTTP/1.1 request with a bound on time and size; a client library would bring more than it saves. What is certain is distinguished from what is not: a refused connection says that nobody listens (yet), no
//! answer says nothing at all.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use model::observed::Readiness;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a broker may take to answer. It answers in a millisecond; a machine in distress gets a thousand times
/// that, and a look at a cluster never takes much longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// The longest answer that is read. An honest one has some hundred bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// What a broker says of itself, as far as we use it.
#[derive(Debug, Deserialize)]
struct Page {
    state: String,
    /// The start that answers. A broker that does not serve yet may not say it.
    instance: Option<String>,
    #[serde(default)]
    recovering: Recovering,
}

#[derive(Debug, Default, Deserialize)]
struct Recovering {
    done: u64,
    total: u64,
}

/// How the broker behind an admin port is, provided that it is the start that we mean.
pub async fn ask(admin: SocketAddr, incarnation: &str) -> Readiness {
    match tokio::time::timeout(PATIENCE, get(admin, "/v1/status")).await {
        Ok(Ok(answer)) => judge(&answer, incarnation),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Readiness::NotReady { why: "its admin port does not answer yet".to_owned() }
        }
        Ok(Err(_)) | Err(_) => Readiness::Unknown,
    }
}

fn judge(answer: &str, incarnation: &str) -> Readiness {
    let Some(body) = answer.strip_prefix("HTTP/1.1 200 ").and_then(|rest| rest.split_once("\r\n\r\n")) else {
        return Readiness::Unknown;
    };
    let Ok(page) = serde_json::from_str::<Page>(body.1) else { return Readiness::Unknown };
    // Somebody else on its port: nothing is known of the broker that we mean.
    if page.instance.as_deref().is_some_and(|instance| instance != incarnation) {
        return Readiness::Unknown;
    }
    match page.state.as_str() {
        "ready" if page.instance.is_some() => Readiness::Ready,
        "recovering" => Readiness::Recovering { done: page.recovering.done, total: page.recovering.total },
        state => Readiness::NotReady { why: format!("it says that it is {state}") },
    }
}

async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0 in all but name: one request, and no chunks to put together.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).await?;
    Ok(answer.replacen("HTTP/1.0 ", "HTTP/1.1 ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(body: &str) -> Readiness {
        judge(&format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{body}"), "abc")
    }

    #[test]
    fn only_the_start_that_is_meant_counts_as_ready() {
        assert_eq!(judged(r#"{"state":"ready","instance":"abc"}"#), Readiness::Ready);
        assert_eq!(judged(r#"{"state":"ready","instance":"of another"}"#), Readiness::Unknown);
        assert_ne!(judged(r#"{"state":"ready"}"#), Readiness::Ready);
    }

    #[test]
    fn recovering_is_believed_without_a_name() {
        let recovering = r#"{"state":"recovering","recovering":{"done":12,"total":40},"topics":0}"#;
        assert_eq!(judged(recovering), Readiness::Recovering { done: 12, total: 40 });
    }

    #[test]
    fn what_cannot_be_understood_is_unknown() {
        assert_eq!(judged("<html>"), Readiness::Unknown);
        assert_eq!(judge("HTTP/1.1 500 Oops\r\n\r\n", "abc"), Readiness::Unknown);
        assert_eq!(judge("", "abc"), Readiness::Unknown);
    }

    #[tokio::test]
    async fn nobody_there_is_not_the_same_as_no_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Connections are accepted by the kernel and nobody answers, as with a stopped process.
        assert_eq!(ask(address, "abc").await, Readiness::Unknown);
        drop(listener);
        assert!(matches!(ask(address, "abc").await, Readiness::NotReady { .. }));
    }
}
