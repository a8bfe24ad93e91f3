//! What a handler may know about the request it answers besides its body.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
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

    /// Who pays for the time that the request takes; nobody while there are no quotas.
    #[must_use]
    pub fn payer(&self) -> Option<Payer> {
        self.broker.quotas.any().then(|| Payer {
            broker: Arc::clone(&self.broker),
            peer: Arc::clone(&self.peer),
            client_id: self.client_id.clone(),
        })
    }

    /// Counts bytes that this client used; returns how long its connection rests after the answer.
    #[must_use]
    pub fn charge(&self, rate: Rate, bytes: usize) -> Duration {
        charge(&self.broker, &self.peer, self.client_id(), rate, bytes as f64)
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

fn charge(broker: &Broker, peer: &Peer, client_id: &str, rate: Rate, amount: f64) -> Duration {
    broker.quotas.charge(rate, peer.principal.name(), client_id, amount, Instant::now())
}

/// Whose quotas a request counts against; may outlive the request.
pub struct Payer {
    broker: Arc<Broker>,
    peer: Arc<Peer>,
    client_id: Option<Str>,
}

/// Lets `work` run and counts the time until it first waits: what a handler does after that is little, and what others do
/// meanwhile is not its work. Its output, and how long the connection rests for it.
pub async fn charged<T>(payer: Option<Payer>, work: impl Future<Output = T>) -> (T, Duration) {
    let Some(Payer { broker, peer, client_id }) = payer else { return (work.await, Duration::ZERO) };
    let mut work = pin!(work);
    let mut used = None;
    let output = poll_fn(|cx| {
        let began = Instant::now();
        let poll = work.as_mut().poll(cx);
        used.get_or_insert_with(|| began.elapsed());
        poll
    });
    let output = output.await;
    let client_id = client_id.as_ref().map_or("", |id| id.as_str());
    (output, charge(&broker, &peer, client_id, Rate::Time, used.unwrap_or_default().as_secs_f64()))
}
