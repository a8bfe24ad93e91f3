//! Tries the address to which clients of a broker are sent.
//!
//! A broker that says it is ready listens in its pod. Clients come by a port of its node, and the rules for that port are
//! each node's own: they know of a new pod a moment later, and of one that was replaced they may still know the place
//! before. From here only this much can be seen: that a connection comes about, that it is refused, or neither. What
//! follows from it, and for how long, is `planner`'s.

use std::io;
use std::time::Duration;

use model::status::Endpoint;
use tokio::net::TcpStream;

/// How long a connection may take. Within Kubernetes it takes a millisecond; a look at a cluster must not take much
/// longer than the brokers' own answers.
const PATIENCE: Duration = Duration::from_millis(500);

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A connection came about.
    Led,
    /// It was refused.
    Refused,
    /// Neither.
    Unanswered,
}

/// Tries an address once.
pub async fn attempt(address: &Endpoint) -> Reach {
    let connecting = TcpStream::connect((address.host.as_str(), address.port));
    match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(Ok(_)) => Reach::Led,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Reach::Refused,
        Ok(Err(_)) | Err(_) => Reach::Unanswered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_is_told_from_silence() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let here = |host: &str| Endpoint { host: host.to_owned(), port };
        assert_eq!(attempt(&here("127.0.0.1")).await, Reach::Led);
        drop(listener);
        assert_eq!(attempt(&here("127.0.0.1")).await, Reach::Refused);
        // A name that is none leads nowhere, and nobody refused anything.
        assert_eq!(attempt(&here("no name")).await, Reach::Unanswered);
    }
}
