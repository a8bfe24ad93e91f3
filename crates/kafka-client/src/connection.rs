//! One connection to one broker.
//!
//! Kafka answers the requests of a connection in the order in which they came. So a connection is two loops in one
//! task: one writes requests and notes in a queue who waits for the answer, the other reads answers and gives each
//! to the head of that queue. The queue is bounded, which bounds the requests in flight. When either loop ends, the
//! task ends, everybody who waits is told why, and the connection is closed for good; it is the caller's to open
//! another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use protocol::frame::{self, RequestHeader};
use protocol::messages::ApiVersionsRequest;
use protocol::versions::Versions;
use protocol::{ApiKey, Decoder, EncodeError, Encoder, ErrorCode, Message, Request, Slice, Slices, Str};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::error::Error;

/// Requests that were written and wait for their answer. Administrative calls come one at a time; a few more keep
/// a link with latency busy, and every one more is work that is lost when the connection breaks.
const IN_FLIGHT_MAX: usize = 5;

/// An answer above this is a mistake: describing 10 000 topics of ten partitions takes about 5 MiB.
const RESPONSE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// The first version of ApiVersions in which the client says what it is; every broker since Kafka 2.4 has it.
const API_VERSIONS_VERSION: i16 = 3;

/// One connection, shared by cloning. It closes when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Connection {
    peer: Arc<str>,
    client_id: Str,
    timeout: Duration,
    calls: mpsc::Sender<Call>,
    correlation: Arc<AtomicI32>,
    offered: Arc<BTreeMap<i16, Versions>>,
    end: Arc<OnceLock<String>>,
}

/// A request on its way to the writing loop.
struct Call {
    frame: Slices,
    waiter: Waiter,
}

/// Who gets the next answer.
struct Waiter {
    correlation_id: i32,
    answer: oneshot::Sender<Bytes>,
}

impl Connection {
    /// Connects, performs the TLS handshake if there is a TLS configuration, and asks for the broker's versions.
    pub(crate) async fn open(
        host: &str,
        port: u16,
        tls: Option<Arc<ClientConfig>>,
        client_id: &str,
        limit: Duration,
    ) -> Result<Connection, Error> {
        let peer: Arc<str> = format!("{host}:{port}").into();
        let lost = |reason: String| Error::ConnectionLost { peer: peer.to_string(), reason };
        let connecting = async {
            let socket = TcpStream::connect((host, port)).await.map_err(|e| lost(e.to_string()))?;
            socket.set_nodelay(true).map_err(|e| lost(e.to_string()))?;
            let Some(tls) = tls else { return Ok(Connection::over(socket, peer.clone(), client_id, limit)) };
            let name = ServerName::try_from(host.to_owned()).map_err(|e| Error::Config {
                what: "a broker's host name",
                reason: format!("{host}: {e}"),
            })?;
            let stream = tokio_rustls::TlsConnector::from(tls)
                .connect(name, socket)
                .await
                .map_err(|e| lost(format!("TLS: {e}")))?;
            Ok(Connection::over(stream, peer.clone(), client_id, limit))
        };
        let slow = |_| lost(format!("not connected within {} ms", limit.as_millis()));
        let mut connection = timeout(limit, connecting).await.map_err(slow)??;
        connection.offered = Arc::new(connection.ask_versions().await?);
        Ok(connection)
    }

    fn over(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        peer: Arc<str>,
        client_id: &str,
        timeout: Duration,
    ) -> Connection {
        let (calls, queue) = mpsc::channel(1);
        let end = Arc::new(OnceLock::new());
        let connection = Connection {
            peer,
            client_id: Str::from(client_id),
            timeout,
            calls,
            correlation: Arc::new(AtomicI32::new(0)),
            offered: Arc::new(BTreeMap::new()),
            end: end.clone(),
        };
        // Not awaited anywhere: it ends when the broker closes the connection or the last handle is dropped.
        tokio::spawn(run(stream, queue, end));
        connection
    }

    /// Host and port of the broker.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether the connection has ended; calls would fail.
    pub fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    /// The versions that both sides know, if any.
    pub fn versions(&self, key: ApiKey) -> Option<Versions> {
        self.offered.get(&key.code())?.intersect(key.request_versions())
    }

    /// Calls in the highest version that both sides know.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, Error> {
        self.call_up_to(request, i16::MAX).await
    }

    /// Calls in the highest version that both sides know and that is not above `highest`.
    pub async fn call_up_to<R: Request>(&self, request: &R, highest: i16) -> Result<R::Response, Error> {
        let offered = self.versions(R::KEY);
        let version =
            offered.map(|both| both.highest.min(highest)).filter(|v| offered.is_some_and(|o| o.contains(*v)));
        let Some(version) = version else {
            let reason = match self.offered.get(&R::KEY.code()) {
                Some(versions) => format!("it offers versions {versions}"),
                None => "it does not offer the API".into(),
            };
            return Err(self.unsupported::<R>(reason));
        };
        self.call_at(request, version, self.timeout).await
    }

    /// Calls in exactly this version, offered or not, and waits this long for the answer.
    pub async fn call_at<R: Request>(
        &self,
        request: &R,
        version: i16,
        limit: Duration,
    ) -> Result<R::Response, Error> {
        let mut body = self.exchange(request, version, limit).await?;
        R::Response::decode(&mut body, version).map_err(|e| self.nonsense::<R>(e.to_string()))
    }

    /// Sends a request and returns the body of its answer.
    async fn exchange<R: Request>(
        &self,
        request: &R,
        version: i16,
        limit: Duration,
    ) -> Result<Decoder, Error> {
        let correlation_id = self.correlation.fetch_add(1, Ordering::Relaxed);
        let encoded = self
            .encode(request, version, correlation_id)
            .map_err(|e| self.unsupported::<R>(e.to_string()))?;
        let (answer, answered) = oneshot::channel();
        let waiting = async {
            let call = Call { frame: encoded.finish(), waiter: Waiter { correlation_id, answer } };
            self.calls.send(call).await.map_err(|_| self.lost())?;
            answered.await.map_err(|_| self.lost())
        };
        let frame = timeout(limit, waiting).await.map_err(|_| Error::TimedOut {
            peer: self.peer.to_string(),
            api: R::KEY,
            timeout_ms: limit.as_millis(),
        })??;
        let (_, body) =
            frame::decode_response(R::KEY, version, frame).map_err(|e| self.nonsense::<R>(e.to_string()))?;
        Ok(body)
    }

    fn encode<R: Request>(
        &self,
        request: &R,
        version: i16,
        correlation_id: i32,
    ) -> Result<Encoder, EncodeError> {
        let client_id = Some(self.client_id.clone());
        let mut out = frame::request(&RequestHeader { key: R::KEY, version, correlation_id, client_id })?;
        request.encode(&mut out, version)?;
        Ok(out)
    }

    async fn ask_versions(&self) -> Result<BTreeMap<i16, Versions>, Error> {
        let request = ApiVersionsRequest {
            client_software_name: "penstock".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        };
        let mut body = self.exchange(&request, API_VERSIONS_VERSION, self.timeout).await?;
        // A broker that does not know the version says so in the shape of version 0.
        let rest = body.rest();
        let is_unknown = rest.starts_with(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
        let version = if is_unknown { 0 } else { API_VERSIONS_VERSION };
        if is_unknown {
            body = self.exchange(&ApiVersionsRequest::default(), version, self.timeout).await?;
        }
        let nonsense = |e: protocol::DecodeError| self.nonsense::<ApiVersionsRequest>(e.to_string());
        let answer = protocol::messages::ApiVersionsResponse::decode(&mut body, version).map_err(nonsense)?;
        crate::error::Refusal::check(answer.error_code, None)
            .map_err(|refusal| Error::refused(format!("ask {} for its versions", self.peer), refusal))?;
        let row = |api: &protocol::messages::api_versions::ApiVersion| {
            (api.api_key, Versions::new(api.min_version, api.max_version))
        };
        Ok(answer.api_keys.iter().map(row).collect())
    }

    fn lost(&self) -> Error {
        let reason = self.end.get().map_or("it was closed", String::as_str);
        Error::ConnectionLost { peer: self.peer.to_string(), reason: reason.to_owned() }
    }

    fn unsupported<R: Request>(&self, reason: String) -> Error {
        Error::Unsupported { peer: self.peer.to_string(), api: R::KEY, reason }
    }

    fn nonsense<R: Request>(&self, reason: String) -> Error {
        Error::Nonsense { peer: self.peer.to_string(), api: R::KEY, reason }
    }
}

/// Runs both loops until one of them ends, and leaves the reason for those who wait.
async fn run(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    mut calls: mpsc::Receiver<Call>,
    end: Arc<OnceLock<String>>,
) {
    let (reader, writer) = tokio::io::split(stream);
    let (waiters, mut queue) = mpsc::channel(IN_FLIGHT_MAX);
    // Both queues outlive the loops, so that whoever waits in them wakes up after the reason is known.
    let reason = tokio::select! {
        reason = write_calls(writer, &mut calls, waiters) => reason,
        reason = read_answers(reader, &mut queue) => reason,
    };
    tracing::debug!(reason, "connection ended");
    let _ = end.set(reason);
}

async fn write_calls(
    mut writer: impl AsyncWrite + Unpin,
    calls: &mut mpsc::Receiver<Call>,
    waiters: mpsc::Sender<Waiter>,
) -> String {
    while let Some(Call { frame, waiter }) = calls.recv().await {
        if waiters.send(waiter).await.is_err() {
            break;
        }
        for slice in frame {
            // A client's requests never refer to bytes elsewhere; only responses can.
            let Slice::Bytes(bytes) = slice else { continue };
            if let Err(e) = writer.write_all(&bytes).await {
                return e.to_string();
            }
        }
        if let Err(e) = writer.flush().await {
            return e.to_string();
        }
    }
    let _ = writer.shutdown().await;
    "it was closed".into()
}

async fn read_answers(mut reader: impl AsyncRead + Unpin, waiters: &mut mpsc::Receiver<Waiter>) -> String {
    loop {
        let mut prefix = [0; frame::LENGTH_BYTES];
        if let Err(e) = reader.read_exact(&mut prefix).await {
            return ended(e);
        }
        let length = match frame::response_length(prefix, RESPONSE_MAX_BYTES) {
            Ok(length) => length,
            Err(e) => return e.to_string(),
        };
        let mut answer = vec![0; length];
        if let Err(e) = reader.read_exact(&mut answer).await {
            return ended(e);
        }
        let answer = Bytes::from(answer);
        let Ok(waiter) = waiters.try_recv() else { return "the broker answered without being asked".into() };
        if !answer.starts_with(&waiter.correlation_id.to_be_bytes()) {
            return "the broker answered another request than the oldest".into();
        }
        // Nobody waits any more if the call timed out.
        let _ = waiter.answer.send(answer);
    }
}

fn ended(error: std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the broker closed it".into(),
        _ => error.to_string(),
    }
}
