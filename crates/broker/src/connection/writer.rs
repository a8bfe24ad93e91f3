//! Answers on their way out.
//!
//! An answer is a list of pieces: encoded bytes, and ranges of segment files. Bytes go out gathered in one vectored
//! write. A long range goes from the file to a plain socket inside of the kernel. Over TLS, or when it is short, it is read
//! a chunk at a time, when the socket took the one before, into a buffer that is dropped with the answer, and after a
//! second in which the client took nothing. So an answer of 50 MiB that nobody reads holds a kilobyte.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use protocol::Slices;
use tokio::time::Instant;

use super::deadline::Deadline;
use super::transport::{Transport, poll_send_file};
use crate::limits::Unsent;
use crate::partition::FileRange;

/// What is read of a file at once: large enough that the system calls are cheap, small enough to stay in the cache
/// between read and write.
const CHUNK_BYTES: usize = 128 * 1024;

/// From this length on a range goes from the file to the socket without passing through here, where the transport can.
/// Shorter ones are cheaper to gather with the bytes around them in one write.
const SEND_FILE_FROM_BYTES: usize = 32 * 1024;

/// What is read of a file for a client that took nothing for a second: just enough to notice when it goes on.
const STALLED_CHUNK_BYTES: usize = 1024;

/// How long a client may take nothing before the buffer read for it is given back.
const KEEP: Duration = Duration::from_secs(1);

/// Slices in one vectored write. Answers of more pieces take several.
const GATHER: usize = 32;

/// A whole answer: encoded bytes with holes, and what fills the holes, in order.
#[derive(Debug)]
pub struct Reply {
    pieces: Vec<Piece>,
    rest: Duration,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    File(FileRange),
}

impl Reply {
    /// An answer that is all bytes.
    #[must_use]
    pub fn bytes(bytes: Bytes) -> Reply {
        Reply { pieces: vec![Piece::Bytes(bytes)], rest: Duration::ZERO }
    }

    /// An answer whose holes are filled by `fillings`, each as long as its hole.
    ///
    /// # Panics
    /// If holes and fillings do not match: the encoder was told other lengths than the fillings have.
    #[must_use]
    pub fn new(slices: Slices, fillings: impl IntoIterator<Item = Filling>) -> Reply {
        let mut fillings = fillings.into_iter();
        let mut pieces = Vec::with_capacity(slices.parts().len());
        for part in slices {
            match part {
                protocol::Slice::Bytes(bytes) => pieces.push(Piece::Bytes(bytes)),
                protocol::Slice::Elsewhere(len) => {
                    let filling = fillings.next().filter(|filling| filling.len() == len);
                    let filling = filling.expect("every hole was made for one filling of its length");
                    for piece in filling.0 {
                        pieces.push(piece);
                    }
                }
            }
        }
        Reply { pieces, rest: Duration::ZERO }
    }

    /// No answer, for clients that want none.
    #[must_use]
    pub fn silence() -> Reply {
        Reply { pieces: Vec::new(), rest: Duration::ZERO }
    }

    /// The same, and the connection reads nothing for so long afterwards.
    #[must_use]
    pub fn resting(self, rest: Duration) -> Reply {
        Reply { rest, ..self }
    }

    /// How long the connection reads nothing after this answer.
    #[must_use]
    pub fn rest(&self) -> Duration {
        self.rest
    }
}

/// What fills one hole: the records of one partition.
#[derive(Debug, Default)]
pub struct Filling(Vec<Piece>);

impl Filling {
    /// Adds bytes at the end.
    pub fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.0.push(Piece::Bytes(bytes));
        }
    }

    /// Adds a range of a file at the end.
    pub fn push_file(&mut self, range: FileRange) {
        if !range.is_empty() {
            self.0.push(Piece::File(range));
        }
    }

    /// How long the hole must be.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Bytes(bytes) => bytes.len(),
                Piece::File(range) => range.len(),
            })
            .sum()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Answers that are ready and not yet written, in order.
#[derive(Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Piece>,
    bytes: usize,
    replies: usize,
    /// What was read of the file range in front and is not yet written.
    chunk: Chunk,
    /// The client takes nothing at the moment: find out with little in hand.
    stalled: bool,
}

/// A buffer that is made once for an answer and filled again and again. It holds the beginning of the range in front,
/// which stays in front until that is written, so the buffer can be thrown away at any time.
#[derive(Default)]
struct Chunk {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Chunk {
    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn fill(&mut self, range: &FileRange, most: usize) -> io::Result<()> {
        let wanted = range.len().min(most);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        range.read_front(&mut self.buffer[..wanted])?;
        (self.start, self.end) = (0, wanted);
        Ok(())
    }
}

/// What writing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Everything is out.
    All,
    /// The client took nothing for too long.
    Stalled,
    /// The client takes nothing, and there is too much that others do not take either.
    Crowded,
}

impl Outbox {
    pub(super) fn push(&mut self, reply: Reply) {
        // Silence is no answer that somebody waits for.
        self.replies += usize::from(!reply.pieces.is_empty());
        for piece in reply.pieces {
            if let Piece::Bytes(bytes) = &piece {
                self.bytes += bytes.len();
            }
            self.pieces.push_back(piece);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.chunk.rest().is_empty()
    }

    /// How many answers wait to be written.
    pub(super) fn replies(&self) -> usize {
        self.replies
    }

    /// Bytes in memory; ranges of files do not count.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Writes everything, until the client takes nothing for `stall`, or for a second while there is too much `unsent`.
    pub(super) async fn write<S: Transport>(
        &mut self,
        stream: &mut S,
        deadline: &mut Deadline,
        stall: Duration,
        unsent: Option<&Unsent<'_>>,
    ) -> io::Result<Written> {
        let mut until = Instant::now() + stall;
        while !self.is_empty() {
            let looks_again = !self.stalled || unsent.is_some();
            let at = if looks_again { until.min(Instant::now() + KEEP) } else { until };
            let step = poll_fn(|cx| self.poll_step(Pin::new(&mut *stream), cx));
            match deadline.wait(at, step).await {
                Some(written) => {
                    written?;
                    self.stalled = false;
                    until = Instant::now() + stall;
                }
                None if at == until => return Ok(Written::Stalled),
                None if unsent.is_some_and(Unsent::are_too_many) => return Ok(Written::Crowded),
                None => {
                    self.chunk = Chunk::default();
                    self.stalled = true;
                }
            }
        }
        // Plain TCP has nothing to flush; TLS may hold the end of the last record.
        let flush = poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx));
        let flushed = deadline.wait(Instant::now() + stall, flush).await;
        self.chunk = Chunk::default();
        self.replies = 0;
        self.pieces.shrink_to(GATHER);
        match flushed {
            Some(flushed) => flushed.map(|()| Written::All),
            None => Ok(Written::Stalled),
        }
    }

    /// One write of what is in front.
    fn poll_step<S: Transport>(&mut self, stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut skipped = 0;
        let mut slices = [IoSlice::new(&[]); GATHER];
        let mut count = 0;
        if let Some(Piece::File(range)) = self.pieces.front() {
            if self.chunk.rest().is_empty()
                && range.len() >= SEND_FILE_FROM_BYTES
                && let Some(sent) = poll_send_file(&stream, cx, range)
            {
                let sent = ready!(sent)?;
                self.advance(sent);
                return Poll::Ready(Ok(()));
            }
            if self.chunk.rest().is_empty() {
                self.chunk.fill(range, if self.stalled { STALLED_CHUNK_BYTES } else { CHUNK_BYTES })?;
            }
            slices[0] = IoSlice::new(self.chunk.rest());
            count = 1;
            // What follows a range may go along only with the end of it.
            let covered = self.chunk.rest().len() == range.len();
            skipped = if covered { 1 } else { self.pieces.len() };
        }
        for piece in self.pieces.iter().skip(skipped) {
            match piece {
                Piece::Bytes(bytes) if count < GATHER => {
                    slices[count] = IoSlice::new(bytes);
                    count += 1;
                }
                _ => break,
            }
        }
        let written = ready!(stream.poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        while written > 0 {
            let taken = match self.pieces.front_mut() {
                None => return,
                Some(Piece::File(range)) => {
                    // Without a chunk the bytes went straight from the file.
                    let held = self.chunk.rest().len();
                    let taken = if held == 0 { written.min(range.len()) } else { written.min(held) };
                    self.chunk.start += taken.min(held);
                    range.advance(taken);
                    if range.is_empty() {
                        self.pieces.pop_front();
                    }
                    taken
                }
                Some(Piece::Bytes(bytes)) => {
                    let taken = written.min(bytes.len());
                    bytes.advance(taken);
                    self.bytes -= taken;
                    if bytes.is_empty() {
                        self.pieces.pop_front();
                    }
                    taken
                }
            };
            written -= taken;
        }
    }
}
