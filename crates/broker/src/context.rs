//! What a handler may know about the request it answers besides its body.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::Str;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::config::Protocol;
use crate::principal::Principal;
use crate::quota::Rate;

/// What stays the same for all requests of one connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address.
    pub host: IpAddr,
    /// The listener it came through; Metadata answers with that listener's addresses.
    pub protocol: Protocol,
    /// Who it is.
    pub principal: Principal,
    /// Distinguishes connections in logs.
    pub connection: u64,
}

/// A request's surroundings. Handlers know no socket: this and the body are all they get.
pub struct Context {
    /// The broker.
    pub broker: Arc<Broker>,
    /// The other end.
    pub peer: Arc<Peer>,
    /// What the client calls itself.
    pub client_id: Option<Str>,
    /// The version of the request, for answers that differ in more than their fields.
    pub version: i16,
    /// Wall-clock time at which the request was read, milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Cancelled when the broker stops; long waits end early then.
    pub stop: CancellationToken,
}

impl Context {
    /// The client id, empty if it sent none.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.client_id.as_ref().map_or("", |id| id.as_str())
    }

    /// Counts what this client used; returns how long its connection rests after the answer.
    #[must_use]
    pub fn charge(&self, rate: Rate, bytes: usize) -> Duration {
        let (user, amount) = (self.peer.principal.name(), bytes as f64);
        self.broker.quotas.charge(rate, user, self.client_id(), amount, Instant::now())
    }

    /// How many bytes this client's quota lets it fetch now, if it has one.
    #[must_use]
    pub fn fetchable(&self) -> Option<usize> {
        self.broker.quotas.fetchable(self.peer.principal.name(), self.client_id(), Instant::now())
    }

    /// The client's address as Kafka prints it in group descriptions: `/127.0.0.1`.
    #[must_use]
    pub fn client_host(&self) -> String {
        format!("/{}", self.peer.host)
    }
}
