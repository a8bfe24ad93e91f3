//! Connections: accept, TLS, HTTP/1.1 or HTTP/2, and an orderly end.
//!
//! Handshakes run beside the accepting loop, so that a client which stalls in one holds up nobody else. Whatever a
//! client can hold on to has a bound: connections, the time for a handshake and for a request's head, streams of one
//! connection, the size of a head.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use prometheus::{IntCounter, IntGauge};
use telemetry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Connections at one time. Each costs some 50 kB with its TLS buffers, so this many cost 50 MB at worst; consoles
/// and command lines of a few hundred people stay far below. Beyond it new connections wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 1024;

/// A handshake is two round trips; this is a slow phone network.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// From one request to the end of the next one's head; longer than the poll interval of any client of ours.
const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// The largest head. Heroku's command line sends up to 7 kB of request ids.
const LARGEST_HEAD_BYTES: u32 = 32 * 1024;

/// Requests at one time on one HTTP/2 connection.
const STREAMS_PER_CONNECTION: u32 = 64;

/// How long requests that are being answered may go on once the process was asked to stop. The slowest use case
/// waits a few seconds for brokers.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// The pause after a failed accept: its cause (no file handles left) passes only when connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Counters of connections.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    open: IntGauge,
    failed_handshakes: IntCounter,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Metrics {
        Metrics {
            open: registry
                .gauge("penstock_https_connections", "Connections to the API and the console that are open"),
            failed_handshakes: registry.counter(
                "penstock_https_failed_handshakes_total",
                "Connections that ended before TLS was agreed on",
            ),
        }
    }
}

/// Serves until `stop`, then finishes what has begun.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    routes: Router,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => break,
            next = accept(&listener, &places) => next,
        };
        let Some((stream, peer, place)) = next else { continue };
        let connection =
            Connection { tls: tls.clone(), routes: routes.clone(), metrics: metrics.clone(), peer };
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            connection.run(stream, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(FINISH_WITHIN, graceful.shutdown()).await.is_err() {
        tracing::info!("some connections were cut: they did not finish within {} s", FINISH_WITHIN.as_secs());
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::info!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

struct Connection {
    tls: TlsAcceptor,
    routes: Router,
    metrics: Metrics,
    peer: SocketAddr,
}

impl Connection {
    async fn run(self, stream: TcpStream, watcher: Watcher) {
        // Answers are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let handshake = tokio::time::timeout(HANDSHAKE_WITHIN, self.tls.accept(stream));
        let Ok(Ok(stream)) = handshake.await else {
            self.metrics.failed_handshakes.inc();
            return;
        };
        self.metrics.open.inc();
        let peer = self.peer;
        let routes = self.routes.map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let http = protocol();
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
        // An error is the client's: it hung up, or sent what is no HTTP.
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, peer = %peer, "a connection ended early");
        }
        self.metrics.open.dec();
    }
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LARGEST_HEAD_BYTES as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .max_header_list_size(LARGEST_HEAD_BYTES)
        .keep_alive_interval(Some(HEAD_WITHIN))
        .keep_alive_timeout(HANDSHAKE_WITHIN);
    http
}
