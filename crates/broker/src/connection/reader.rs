//! Frames from a stream of bytes.
//!
//! One buffer a connection: it grows to the frame, frames leave it as slices of it, and when those are dropped its
//! memory is used again. It grows as bytes arrive, never because a length prefix says so, and what it grows by is taken
//! out of the budget that all connections share: a prefix of 100 MiB with nothing behind it holds one chunk and keeps
//! nobody else waiting. After a second of silence an empty buffer is given back.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use protocol::frame::{self, FrameError, LENGTH_BYTES};
use tokio::io::AsyncRead;
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;

use super::deadline::Deadline;
use crate::context::Peer;
use crate::limits::{Client, Displaced, Held, RequestBytes, Share};

/// What is read at once when nothing is known of the next frame; most requests fit.
const CHUNK_BYTES: usize = 16 * 1024;

/// Room that must be there for a read when nothing is known of the next frame.
const SPARE_BYTES: usize = 2 * 1024;

/// How far the buffer of a large frame runs ahead of its bytes: a multiple of what came. A producer's usual batch limit
/// is 1 MB, so such a frame grows twice and little of it is copied; who wants to hold memory has to send an eighth of it.
const AHEAD: usize = 8;

/// The most that is reserved at once, so that huge frames do not run far ahead.
const GROWTH_BYTES: usize = 1024 * 1024 + CHUNK_BYTES;

/// The room of a client that sends faster than it is served: several of its requests are read at once then, and answered
/// together. It comes out of the budget; where that has no more, or others wait for it, such a client has as much as others.
const AMPLE_BYTES: usize = 512 * 1024;

/// While others wait for the memory that unfinished frames hold, a frame must go on by [`PACE_BYTES`] in every such
/// span or lose its connection. So nobody waits long for clients that stopped halfway, while a client with a megabit a
/// second never notices, not even one whose packets were lost once and sent again.
const PACE: Duration = Duration::from_millis(500);
const PACE_BYTES: usize = 16 * 1024;

/// How long an empty buffer is kept for the next request.
const KEEP: Duration = Duration::from_secs(1);

/// What waiting for a frame came to.
pub(super) enum Next {
    /// A whole one, without its prefix.
    Frame(Bytes),
    /// The client closed between frames.
    Closed,
    /// Nothing came for the idle time.
    Idle,
    /// A frame began and did not end in time.
    Stalled,
    /// A frame came too slowly while others waited for the memory that it held.
    Crowded,
    /// A client that holds less waited for the memory that a frame held.
    Displaced,
    /// The broker stops.
    Stopped,
}

#[derive(Debug)]
pub(super) enum ReadError {
    Frame(FrameError),
    Io(io::Error),
}

pub(super) struct FrameReader {
    buffer: BytesMut,
    max_bytes: usize,
    budget: Arc<RequestBytes>,
    /// What a frame above one chunk has of the budget while it is being read.
    share: Option<Share>,
    /// The same of the frame that was handed out last.
    held: Option<Held>,
    /// A read filled all the room that it had: there is more.
    filled: bool,
    /// What a buffer of [`AMPLE_BYTES`] has of the budget.
    ample: Option<Held>,
}

impl FrameReader {
    pub(super) fn new(max_bytes: usize, budget: Arc<RequestBytes>) -> FrameReader {
        FrameReader {
            buffer: BytesMut::new(),
            max_bytes,
            budget,
            share: None,
            held: None,
            filled: false,
            ample: None,
        }
    }

    /// A frame that is in the buffer already.
    pub(super) fn buffered(&mut self) -> Result<Option<Bytes>, FrameError> {
        match self.wanted()? {
            Some(length) if self.buffer.len() >= LENGTH_BYTES + length => {
                self.buffer.advance(LENGTH_BYTES);
                self.held = self.share.take().map(Share::complete);
                Ok(Some(self.buffer.split_to(length).freeze()))
            }
            _ => Ok(None),
        }
    }

    /// The same, if it starts with these bytes. What is wrong with a frame shows itself when it is looked at alone.
    pub(super) fn buffered_alike(&mut self, start: [u8; frame::REQUEST_START_BYTES]) -> Option<Bytes> {
        let alike = self.buffer.get(LENGTH_BYTES..).is_some_and(|frame| frame.starts_with(&start));
        if alike { self.buffered().ok().flatten() } else { None }
    }

    /// What the frame that was handed out last holds of the budget, if it was large.
    pub(super) fn held(&mut self) -> Option<Held> {
        self.held.take()
    }

    /// Reads what the stream has at the moment into the room that the buffer has; whether that was anything. An end or a
    /// failure shows itself again at the next read.
    pub(super) async fn read_ahead<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> bool {
        if self.buffer.capacity() - self.buffer.len() < SPARE_BYTES && !self.buffer.try_reclaim(SPARE_BYTES) {
            return false;
        }
        let buffer = &mut self.buffer;
        poll_fn(|cx| match poll_read_buf(Pin::new(&mut *stream), cx, buffer) {
            Poll::Ready(Ok(read)) => Poll::Ready(read > 0),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(false),
        })
        .await
    }

    /// The length of the frame that begins the buffer, if its prefix is there.
    fn wanted(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        frame::request_length(*prefix, self.max_bytes).map(Some)
    }

    /// Waits for a whole frame. `peer` says whose share of the budget a large one takes.
    pub(super) async fn next<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        deadline: &mut Deadline,
        idle: Duration,
        stall: Duration,
        peer: &Peer,
        stop: &CancellationToken,
    ) -> Result<Next, ReadError> {
        let mut stopped = pin!(stop.cancelled());
        let idle_until = Instant::now() + idle;
        // Set by the first byte of a frame: however long the silence before it, it has its whole time.
        let mut stalled_at = (!self.buffer.is_empty()).then(|| Instant::now() + stall);
        // Until when the frame must have come how far; only frames that hold a share of the budget have a pace.
        let mut pace: Option<(Instant, usize)> = None;
        loop {
            if let Some(frame) = self.buffered().map_err(ReadError::Frame)? {
                return Ok(Next::Frame(frame));
            }
            // What the buffer may come to before more of the frame is there.
            let ahead = match self.wanted().map_err(ReadError::Frame)? {
                Some(length) => (LENGTH_BYTES + length).min(CHUNK_BYTES.max(AHEAD * self.buffer.len())),
                None => 0,
            };
            if ahead > CHUNK_BYTES && self.share.as_ref().is_none_or(|share| share.bytes() < ahead) {
                let client = || Client::of(&peer.principal, peer.host);
                let raised = self.budget.raise(&mut self.share, client, ahead);
                match stop.run_until_cancelled(raised).await {
                    None => return Ok(Next::Stopped),
                    Some(Err(Displaced)) => return Ok(Next::Displaced),
                    // While it waited for room it could not go on.
                    Some(Ok(())) => pace = None,
                }
            }
            if let Some(share) = &self.share {
                if share.is_displaced() {
                    return Ok(Next::Displaced);
                }
                let now = Instant::now();
                match pace {
                    Some((until, _)) if now < until => {}
                    Some((_, bytes)) if self.buffer.len() < bytes && self.budget.is_short() => {
                        return Ok(Next::Crowded);
                    }
                    _ => pace = Some((now + PACE, self.buffer.len() + PACE_BYTES)),
                }
            }
            let missing = ahead.saturating_sub(self.buffer.len());
            let mut room = (missing + LENGTH_BYTES).clamp(CHUNK_BYTES, GROWTH_BYTES.max(self.buffer.len()));
            if self.ample.is_some() && self.budget.is_short() {
                self.give_back();
            } else if self.filled && self.ample.is_none() && !self.budget.is_short() {
                self.ample = self.budget.hold_now(AMPLE_BYTES);
            }
            if self.ample.is_some() {
                room = room.max(AMPLE_BYTES);
            }
            let spare = self.buffer.capacity() - self.buffer.len();
            // Frames that are still in use keep the buffer from being used again, so the rest of it is used up first.
            if spare < missing.clamp(SPARE_BYTES, room) || self.buffer.is_empty() {
                self.buffer.reserve(room);
            }
            let limit = match stalled_at {
                None if self.buffer.is_empty() => idle_until,
                _ => *stalled_at.get_or_insert_with(|| Instant::now() + stall),
            };
            let at = match pace {
                _ if self.buffer.is_empty() => limit.min(Instant::now() + KEEP),
                Some((until, _)) => limit.min(until),
                // Others may come to need the room meanwhile.
                None if self.ample.is_some() => limit.min(Instant::now() + PACE),
                None => limit,
            };
            match self.read(stream, deadline, at, stopped.as_mut()).await {
                Read::Some => self.filled = self.buffer.len() == self.buffer.capacity(),
                Read::End if self.buffer.is_empty() => return Ok(Next::Closed),
                Read::End => return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into())),
                Read::Failed(error) => return Err(ReadError::Io(error)),
                Read::Stopped => return Ok(Next::Stopped),
                Read::Late if at < limit && !self.buffer.is_empty() => {}
                Read::Late if at < limit => {
                    self.give_back();
                    match self.first_bytes(stream, deadline, limit, stopped.as_mut()).await {
                        Read::Some => {}
                        Read::End => return Ok(Next::Closed),
                        Read::Failed(error) => return Err(ReadError::Io(error)),
                        Read::Stopped => return Ok(Next::Stopped),
                        Read::Late => return Ok(Next::Idle),
                    }
                }
                Read::Late if self.buffer.is_empty() => return Ok(Next::Idle),
                Read::Late => return Ok(Next::Stalled),
            }
        }
    }

    /// Gives back the buffer but for what is in it.
    fn give_back(&mut self) {
        self.buffer = BytesMut::from(&self.buffer[..]);
        self.ample = None;
        self.filled = false;
    }

    /// Reads what is there into the room that the buffer has.
    async fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        deadline: &mut Deadline,
        at: Instant,
        mut stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Read {
        let buffer = &mut self.buffer;
        let outcome = deadline.wait(
            at,
            poll_fn(|cx| {
                if let Poll::Ready(read) = poll_read_buf(Pin::new(&mut *stream), cx, buffer) {
                    return Poll::Ready(Read::from(read));
                }
                stopped.as_mut().poll(cx).map(|()| Read::Stopped)
            }),
        );
        outcome.await.unwrap_or(Read::Late)
    }

    /// Waits without a buffer: one is made only when the stream has something. A stream that is polled must be given
    /// room, so a small array on the stack takes the first bytes.
    async fn first_bytes<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        deadline: &mut Deadline,
        at: Instant,
        mut stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> Read {
        let buffer = &mut self.buffer;
        let outcome = deadline.wait(
            at,
            poll_fn(|cx| {
                let mut first = [0_u8; 64];
                let mut room = &mut first[..];
                let capacity = room.len();
                if let Poll::Ready(read) = poll_read_buf(Pin::new(&mut *stream), cx, &mut room) {
                    let filled = capacity - room.len();
                    buffer.extend_from_slice(&first[..filled]);
                    return Poll::Ready(Read::from(read));
                }
                stopped.as_mut().poll(cx).map(|()| Read::Stopped)
            }),
        );
        outcome.await.unwrap_or(Read::Late)
    }
}

enum Read {
    Some,
    End,
    Late,
    Stopped,
    Failed(io::Error),
}

impl From<io::Result<usize>> for Read {
    fn from(read: io::Result<usize>) -> Read {
        match read {
            Ok(0) => Read::End,
            Ok(_) => Read::Some,
            Err(error) => Read::Failed(error),
        }
    }
}
