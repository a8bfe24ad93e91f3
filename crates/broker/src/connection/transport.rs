//! What a connection runs over: plain TCP or TLS.
//!
//! They differ in one thing: plain TCP can send a range of a file without its bytes passing through this process.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::partition::FileRange;

/// A stream that may know a shorter way from a file to the network.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Sends what it can of the range; the number of bytes sent. `None` if there is no shorter way.
    fn poll_send_file(&self, cx: &mut Context<'_>, range: &FileRange) -> Option<Poll<io::Result<usize>>>;
}

impl Transport for TcpStream {
    fn poll_send_file(&self, cx: &mut Context<'_>, range: &FileRange) -> Option<Poll<io::Result<usize>>> {
        Some(send_file(self, cx, range))
    }
}

fn send_file(stream: &TcpStream, cx: &mut Context<'_>, range: &FileRange) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let mut position = range.position();
        let sent = stream.try_io(Interest::WRITABLE, || {
            Ok(rustix::fs::sendfile(stream, range.file(), Some(&mut position), range.len())?)
        });
        match sent {
            // The readiness was used up; wait for the next.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Nothing sent and no error: the file ends before the range does.
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            other => return Poll::Ready(other),
        }
    }
}

impl Transport for Box<TlsStream<TcpStream>> {
    fn poll_send_file(&self, _cx: &mut Context<'_>, _range: &FileRange) -> Option<Poll<io::Result<usize>>> {
        None
    }
}

/// [`Transport::poll_send_file`] of a pinned stream.
pub(super) fn poll_send_file<S: Transport>(
    stream: &Pin<&mut S>,
    cx: &mut Context<'_>,
    range: &FileRange,
) -> Option<Poll<io::Result<usize>>> {
    stream.as_ref().get_ref().poll_send_file(cx, range)
}
