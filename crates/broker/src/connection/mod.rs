//! One client connection: frames in, answers out, in order.
//!
//! A connection is one task. It reads a frame, starts answering, and if the answer is there at once goes on with the
//! next frame that is in the buffer already, so that pipelined requests share one write. When an answer must wait,
//! what is ready is written first. Requests of one connection are answered one after the other, as Kafka does.
//!
//! What it holds: a read buffer that grows to the frame and is given back after a second of silence ([`reader`]), and
//! the answers not yet taken, whose records are ranges of files and not memory ([`writer`]). So a client that sends
//! slowly or never reads holds kilobytes.

mod deadline;
mod reader;
mod transport;
pub mod writer;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use protocol::frame::{self, FrameError, RequestHeader};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Asked, Call, Failure};
use crate::broker::Broker;
use crate::clock;
use crate::context::{Context, Peer};
use crate::limits::Held;
use deadline::Deadline;
use reader::{FrameReader, Next};
use transport::Transport;
use writer::{Outbox, Written};

/// Answers that wait for the next request to be served, if that is there already. Producers usually have five requests
/// open: with two of them answered at once, there are others to serve while the client makes new ones.
const ANSWERS_TOGETHER: usize = 2;

/// Answers that wait for company are written once they are so long; a bigger batch saves nothing and costs memory.
const WRITE_AT_BYTES: usize = 64 * 1024;

/// Requests that are answered as one run, and the length from which a run takes no further one. What a producer has
/// open at once is usually less than either; more would keep the first waiting for its answer too long.
const RUN_REQUESTS: usize = 8;
const RUN_BYTES: usize = 512 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The client closed it between requests.
    #[error("the client closed the connection")]
    Closed,
    /// `connections.max.idle.ms` passed without a request.
    #[error("no request for connections.max.idle.ms")]
    Idle,
    /// The client does not send the rest of a frame.
    #[error("a request was not complete within penstock.read.stall.ms")]
    ReadStalled,
    /// The client sends the rest of a frame too slowly for the memory that it holds.
    #[error(
        "a request came too slowly while others waited for its memory; queued.max.request.bytes is how much there is"
    )]
    Crowded,
    /// The client has unfinished requests that hold more memory than all those of a client that waits for some.
    #[error(
        "an unfinished request of a client that holds much memory made room for a client that holds less; \
         queued.max.request.bytes is how much there is"
    )]
    Displaced,
    /// The client does not take its answer.
    #[error("no byte of an answer was taken within penstock.write.stall.ms")]
    WriteStalled,
    /// The client does not take its answer, and there are too many such answers.
    #[error(
        "no byte of a long answer was taken for a while, and too many such answers hold memory; \
         penstock.max.answer.bytes is how much they may"
    )]
    WriteCrowded,
    /// The broker stops.
    #[error("the broker stops")]
    Stopped,
    /// What came is no request.
    #[error("what came is no request: {0}")]
    Frame(#[source] FrameError),
    /// The request cannot be answered.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// The network failed.
    #[error("the network failed: {0}")]
    Io(#[from] std::io::Error),
}

impl Ended {
    /// Label of the metric; `None` where the client left by itself.
    fn reason(&self) -> Option<&'static str> {
        match self {
            Ended::Closed | Ended::Stopped | Ended::Io(_) => None,
            Ended::Idle => Some("idle"),
            Ended::ReadStalled => Some("read_stalled"),
            Ended::Crowded => Some("read_crowded"),
            Ended::Displaced => Some("read_displaced"),
            Ended::WriteStalled => Some("write_stalled"),
            Ended::WriteCrowded => Some("write_crowded"),
            Ended::Frame(_) => Some("bad_frame"),
            Ended::Failure(Failure::Malformed { .. }) => Some("malformed_request"),
            Ended::Failure(_) => Some("failed_request"),
        }
    }
}

/// Counts a handler's panic: the runtime has caught it by then, and only this connection is lost.
struct PanicCount(Arc<Broker>);

impl Drop for PanicCount {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.metrics.panics.inc();
        }
    }
}

/// Serves a connection until it ends, and says so in one log line.
pub(crate) async fn serve<S>(stream: S, broker: Arc<Broker>, peer: Arc<Peer>, stop: CancellationToken)
where
    S: Transport,
{
    let _panic_count = PanicCount(Arc::clone(&broker));
    let connection = peer.connection;
    let host = peer.host;
    let mut session = Session::new(stream, broker, peer, stop);
    let Err(mut ended) = session.run().await;
    if matches!(ended, Ended::Frame(_) | Ended::Failure(_))
        // What was answered before is told nevertheless.
        && let Err(error) = session.write().await
    {
        ended = error;
    }
    match ended.reason() {
        None => {
            tracing::debug!(connection.id = connection, client.host = %host, reason = %ended, "connection ended")
        }
        Some(label) => {
            session.broker.metrics.connections_closed.with_label_values(&[label]).inc();
            tracing::info!(connection.id = connection, client.host = %host, reason = %ended, "closed a connection");
        }
    }
}

struct Session<S> {
    stream: S,
    broker: Arc<Broker>,
    peer: Arc<Peer>,
    stop: CancellationToken,
    reader: FrameReader,
    outbox: Outbox,
    deadline: Deadline,
}

/// No connection ends well: it always ends for a reason.
enum Never {}

impl<S: Transport> Session<S> {
    fn new(stream: S, broker: Arc<Broker>, peer: Arc<Peer>, stop: CancellationToken) -> Session<S> {
        let budget = Arc::clone(&broker.request_bytes);
        let reader = FrameReader::new(broker.config.limits.socket_request_max_bytes, budget);
        Session { stream, broker, peer, stop, reader, outbox: Outbox::default(), deadline: Deadline::new() }
    }

    async fn run(&mut self) -> Result<Never, Ended> {
        loop {
            let frame = match self.reader.buffered().map_err(Ended::Frame)? {
                Some(frame) => frame,
                // Each write of answers wakes the client, which costs more than a small request does. So where the next
                // request is there already, it is served first, and the client wakes once for both.
                None if self.outbox.replies() > 0
                    && self.outbox.replies() < ANSWERS_TOGETHER
                    && self.reader.read_ahead(&mut self.stream).await =>
                {
                    continue;
                }
                None => {
                    self.write().await?;
                    self.read().await?
                }
            };
            let held = self.hold(&frame);
            let rest = self.answer(frame).await?;
            drop(held);
            if self.outbox.len() >= WRITE_AT_BYTES || !rest.is_zero() {
                self.write().await?;
            }
            if !rest.is_zero() {
                // What the client sends meanwhile waits in the socket, whose room is all it can take.
                self.stop.run_until_cancelled(tokio::time::sleep(rest)).await;
            }
            if self.stop.is_cancelled() {
                self.write().await?;
                return Err(Ended::Stopped);
            }
        }
    }

    /// Counts a frame against the budget of all connections while it is answered.
    fn hold(&mut self, frame: &bytes::Bytes) -> Option<Held> {
        self.reader.held().or_else(|| self.broker.request_bytes.hold_now(frame.len()))
    }

    /// Waits for the next whole frame.
    async fn read(&mut self) -> Result<bytes::Bytes, Ended> {
        let limits = &self.broker.config.limits;
        let idle = Duration::from_millis(limits.connections_max_idle_ms);
        let stall = Duration::from_millis(limits.read_stall_ms);
        let next =
            self.reader.next(&mut self.stream, &mut self.deadline, idle, stall, &self.peer, &self.stop).await;
        match next {
            Ok(Next::Frame(frame)) => Ok(frame),
            Ok(Next::Closed) => Err(Ended::Closed),
            Ok(Next::Idle) => Err(Ended::Idle),
            Ok(Next::Stalled) => Err(Ended::ReadStalled),
            Ok(Next::Crowded) => Err(Ended::Crowded),
            Ok(Next::Displaced) => Err(Ended::Displaced),
            Ok(Next::Stopped) => Err(Ended::Stopped),
            Err(reader::ReadError::Frame(error)) => Err(Ended::Frame(error)),
            Err(reader::ReadError::Io(error)) => Err(Ended::Io(error)),
        }
    }

    async fn write(&mut self) -> Result<(), Ended> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        let stall = Duration::from_millis(self.broker.config.limits.write_stall_ms);
        let unsent = self.broker.answer_bytes.count(self.outbox.len());
        match self.outbox.write(&mut self.stream, &mut self.deadline, stall, unsent.as_ref()).await? {
            Written::All => Ok(()),
            Written::Stalled => Err(Ended::WriteStalled),
            Written::Crowded => Err(Ended::WriteCrowded),
        }
    }

    /// Answers a request, and those behind it that run together with it and are there already; returns for how long a
    /// quota wants no other.
    async fn answer(&mut self, frame: bytes::Bytes) -> Result<Duration, Ended> {
        let mut bytes = frame.len();
        let Some(first) = self.asked(frame)? else { return Ok(Duration::ZERO) };
        let Call { key, version, .. } = first.call;
        let mut run = vec![first];
        let mut held = Vec::new();
        let mut broken = None;
        if api::runs_together(key, version) {
            let alike = frame::request_start(key, version);
            while run.len() < RUN_REQUESTS && bytes < RUN_BYTES {
                let Some(frame) = self.reader.buffered_alike(alike) else { break };
                bytes += frame.len();
                held.extend(self.hold(&frame));
                match self.asked(frame) {
                    Ok(asked) => run.extend(asked),
                    // What came before it is answered first.
                    Err(ended) => {
                        broken = Some(ended);
                        break;
                    }
                }
            }
        }
        let requests = run.len();
        let started = Instant::now();
        let mut answering = api::answer_run(run);
        let first = poll_once(&mut answering).await;
        let answers = match first {
            Some(answers) => answers,
            None => {
                self.write().await?;
                answering.await
            }
        };
        let took = started.elapsed().as_secs_f64();
        for _ in 0..requests {
            self.broker.metrics.request(key, took);
        }
        let mut rest = Duration::ZERO;
        for answer in answers {
            let reply = answer?;
            rest = rest.max(reply.rest());
            self.outbox.push(reply);
        }
        broken.map_or(Ok(rest), Err)
    }

    /// Reads the head of a request; `None` if it was of an unknown kind and is answered already.
    fn asked(&mut self, frame: bytes::Bytes) -> Result<Option<Asked>, Ended> {
        let (header, input) = match RequestHeader::decode(frame) {
            Ok(decoded) => decoded,
            Err(FrameError::UnknownKey { code, version, correlation_id }) => {
                tracing::debug!(
                    connection.id = self.peer.connection,
                    code,
                    version,
                    "answered an unknown API key"
                );
                self.outbox.push(api::refused::unknown_key(correlation_id));
                return Ok(None);
            }
            Err(error) => return Err(Ended::Frame(error)),
        };
        let RequestHeader { key, version, correlation_id, client_id } = header;
        let ctx = Context {
            broker: Arc::clone(&self.broker),
            peer: Arc::clone(&self.peer),
            client_id,
            version,
            now_ms: clock::now_ms(),
            stop: self.stop.clone(),
        };
        Ok(Some(Asked { ctx, call: Call { key, version, correlation_id }, input }))
    }
}

/// Polls a future once: `None` if it must wait.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut future = std::pin::Pin::new(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}
