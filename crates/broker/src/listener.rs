//! Accepting connections: count them, take their TLS handshake, hand them to their task.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::Broker;
use crate::config::{Listener, Protocol};
use crate::connection;
use crate::context::Peer;
use crate::limits::{Connections, Refused, Seat};
use crate::principal::Principal;
use crate::tls;

/// A TLS handshake takes two round trips; who needs longer is not there or not well-meaning.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait when the system has no file left for a connection: others must close first.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// Binds a listener's address.
///
/// # Errors
/// If the name does not resolve or the port is taken.
pub async fn bind(listener: &Listener) -> io::Result<TcpListener> {
    let host = if listener.host.is_empty() { "0.0.0.0" } else { &listener.host };
    TcpListener::bind((host, listener.port)).await
}

/// Everything that accepting needs.
pub struct Acceptor {
    /// Shared by all listeners.
    pub connections: Arc<Connections>,
    /// The broker that connections talk to.
    pub broker: Arc<Broker>,
    /// Which listener this is.
    pub protocol: Protocol,
    /// For TLS listeners.
    pub tls: Option<TlsAcceptor>,
    /// Fingerprints of certificates that are refused.
    pub revoked: Arc<tls::Revoked>,
    /// Where connection tasks are counted, so that a stop can wait for them.
    pub tasks: TaskTracker,
    /// Ends accepting and, through children, connections.
    pub stop: CancellationToken,
}

impl Acceptor {
    /// Accepts until the broker stops.
    pub async fn run(self, listener: TcpListener) {
        let acceptor = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                () = acceptor.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => acceptor.admit(stream, address),
                // The client was gone before we looked.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections at the moment; is the limit of open files too low?");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, address: SocketAddr) {
        let host = address.ip().to_canonical();
        match self.connections.admit(host) {
            Ok(seat) => {
                // Small answers must not wait for the client's acknowledgement; fails only if the client is gone.
                let _ = stream.set_nodelay(true);
                let task = Arc::clone(self).connection(stream, host, seat);
                self.tasks.spawn(task);
            }
            Err(refused) => self.refuse(host, refused),
        }
    }

    fn refuse(&self, host: IpAddr, refused: Refused) {
        let setting = refused.setting();
        self.broker.metrics.connections_closed.with_label_values(&[setting]).inc();
        tracing::info!(client.host = %host, limit = setting, "refused a connection: the limit is reached");
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, host: IpAddr, seat: Seat) {
        let _seat = seat;
        let connection = NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed);
        let stop = self.stop.child_token();
        let peer = |principal| Arc::new(Peer { host, protocol: self.protocol, principal, connection });
        let Some(tls) = &self.tls else {
            let peer = peer(Principal::anonymous());
            let broker = Arc::clone(&self.broker);
            drop(self);
            return connection::serve(stream, broker, peer, stop).await;
        };
        // Boxed: the state of a handshake is large, and plain connections should not carry room for it.
        let handshake = Box::pin(tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)));
        let failure = match stop.run_until_cancelled(handshake).await {
            None => return,
            Some(Ok(Ok(mut stream))) => {
                let (_, session) = stream.get_mut();
                session.set_buffer_limit(Some(tls::BUFFER_LIMIT_BYTES));
                if !self.revoked.contains(session) {
                    let peer = peer(tls::principal(session));
                    let broker = Arc::clone(&self.broker);
                    drop(self);
                    return Box::pin(connection::serve(Box::new(stream), broker, peer, stop)).await;
                }
                "the client's certificate is revoked".to_owned()
            }
            Some(Ok(Err(error))) => error.to_string(),
            Some(Err(_)) => format!("not complete after {} s", HANDSHAKE_TIMEOUT.as_secs()),
        };
        self.broker.metrics.connections_closed.with_label_values(&["tls_handshake"]).inc();
        tracing::info!(connection.id = connection, client.host = %host, reason = %failure, "a TLS handshake failed");
    }
}
