//! Walks over the batches of a segment file.
//!
//! Two speeds: [`Scan::headers`] reads only headers and skips what is between, for finding places;
//! [`Scan::checked`] reads everything and verifies each batch, for recovery and compaction.

use std::io;
use std::sync::Arc;

use protocol::batch::{BatchError, Header};

use crate::buffers::{Buffer, Buffers};
use crate::io::File;

/// Read at once when only headers matter: one page, since the next header is usually further away.
const HEADER_WINDOW_BYTES: usize = 4 << 10;
/// Read at once when everything matters: large enough that system calls do not count.
const FULL_WINDOW_BYTES: usize = 512 << 10;

/// A walk in progress.
pub(crate) struct Scan<'a, F> {
    file: &'a F,
    buffers: &'a Arc<Buffers>,
    buffer: Buffer,
    /// File position of the buffer's first byte and how many bytes of it are valid.
    window: (u64, usize),
    position: u64,
    end: u64,
    check: bool,
}

/// A batch that was met.
#[derive(Debug)]
pub(crate) struct Met<'a> {
    pub(crate) header: Header,
    pub(crate) position: u64,
    /// The whole batch; empty when only headers are read.
    pub(crate) bytes: &'a [u8],
}

impl<'a, F: File> Scan<'a, F> {
    /// Visits headers in `[position, end)` without verifying checksums.
    pub(crate) fn headers(file: &'a F, buffers: &'a Arc<Buffers>, position: u64, end: u64) -> Self {
        Self::new(file, buffers, position, end, HEADER_WINDOW_BYTES, false)
    }

    /// Visits and verifies whole batches in `[position, end)`.
    pub(crate) fn checked(file: &'a F, buffers: &'a Arc<Buffers>, position: u64, end: u64) -> Self {
        Self::new(file, buffers, position, end, FULL_WINDOW_BYTES, true)
    }

    fn new(
        file: &'a F,
        buffers: &'a Arc<Buffers>,
        position: u64,
        end: u64,
        window: usize,
        check: bool,
    ) -> Self {
        let window = window.min(end.saturating_sub(position) as usize);
        let buffer = buffers.take(window);
        Self { file, buffers, buffer, window: (position, 0), position, end, check }
    }

    /// Verifies (or stops verifying) from here on.
    pub(crate) fn set_check(&mut self, check: bool) {
        self.check = check;
    }

    /// The next batch; `None` at the end. After an error the walk stays where it is.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<Met<'_>, BatchError>>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let left = self.end - self.position;
        if left < Header::BYTES as u64 {
            return Ok(Some(Err(BatchError::Truncated { wanted: Header::BYTES, remaining: left as usize })));
        }
        self.have(Header::BYTES)?;
        let header = match Header::parse(self.at_position()).and_then(|header| plausible(header, left)) {
            Ok(header) => header,
            Err(bad) => return Ok(Some(Err(bad))),
        };
        let position = self.position;
        if self.check {
            self.have(header.size_bytes())?;
            if let Err(bad) = header.check_crc(self.at_position()) {
                return Ok(Some(Err(bad)));
            }
        }
        self.position += header.size_bytes() as u64;
        let from = (position - self.window.0) as usize;
        let bytes = if self.check { &self.buffer.memory()[from..from + header.size_bytes()] } else { &[] };
        Ok(Some(Ok(Met { header, position, bytes })))
    }

    fn at_position(&mut self) -> &[u8] {
        let from = (self.position - self.window.0) as usize;
        let filled = self.window.1;
        &self.buffer.memory()[from..filled]
    }

    /// Makes at least `bytes` from the current position available in the buffer.
    fn have(&mut self, bytes: usize) -> io::Result<()> {
        let window_end = self.window.0 + self.window.1 as u64;
        if self.position >= self.window.0 && self.position + bytes as u64 <= window_end {
            return Ok(());
        }
        if bytes > self.buffer.memory().len() {
            self.buffer = self.buffers.take(bytes);
        }
        let wanted = (self.buffer.memory().len() as u64).min(self.end - self.position) as usize;
        let filled = self.file.read_full_at(&mut self.buffer.memory()[..wanted], self.position)?;
        self.window = (self.position, filled);
        // The file is shorter than its size said: somebody cut it, or the disk lost its end.
        if filled < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// What must hold of a header before anything is done with it: in a damaged file it may say anything.
pub(crate) fn plausible(header: Header, remaining: u64) -> Result<Header, BatchError> {
    let wanted = header.size_bytes();
    if wanted as u64 > remaining {
        return Err(BatchError::Truncated { wanted, remaining: remaining as usize });
    }
    let overflows = header.base_offset.checked_add(i64::from(header.last_offset_delta) + 1).is_none();
    if header.base_offset < 0 || header.last_offset_delta < 0 || header.record_count < 0 || overflows {
        return Err(BatchError::Header("offsets or counts that no log can hold"));
    }
    Ok(header)
}
