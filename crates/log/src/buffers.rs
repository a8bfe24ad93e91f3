//! Memory for reads, used again and again.
//!
//! A read of a megabyte into fresh memory costs 256 page faults and the zeroing of every page before the
//! kernel copies over it; that is more than the copy itself. Buffers therefore return here when the last
//! slice of them is dropped (usually when the response has been written).

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Smallest buffer: a read of the covering batch of a small record fits.
const MIN_BYTES: usize = 4 << 10;
/// Largest buffer that is kept: the default `max.partition.fetch.bytes`, doubled. Rare larger ones are freed.
const MAX_KEPT_BYTES: usize = 2 << 20;

/// The pool.
#[derive(Debug)]
pub(crate) struct Buffers {
    kept: Mutex<Kept>,
    capacity_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// A buffer on loan.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    pool: Arc<Buffers>,
}

impl Buffers {
    pub(crate) fn new(capacity_bytes: usize) -> Arc<Self> {
        Arc::new(Self { kept: Mutex::new(Kept::default()), capacity_bytes })
    }

    /// A buffer of at least `bytes`, with whatever content it had.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Buffer {
        let size = bytes.max(MIN_BYTES).next_power_of_two();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = kept.buffers.iter().rposition(|buffer| buffer.len() == size);
        let reused = fitting.map(|at| kept.buffers.swap_remove(at));
        kept.bytes -= reused.as_ref().map_or(0, Vec::len);
        drop(kept);
        Buffer { bytes: reused.unwrap_or_else(|| vec![0; size]), filled: 0, pool: self.clone() }
    }

    /// Frees everything that is not on loan.
    pub(crate) fn clear(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        drop(kept);
    }
}

impl Buffer {
    /// The memory to fill.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Turns the first `filled` bytes into a shared slice; the memory comes back when all slices are gone.
    pub(crate) fn freeze(mut self, filled: usize) -> Bytes {
        self.filled = filled.min(self.bytes.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.len() > MAX_KEPT_BYTES {
            return;
        }
        let mut kept = self.pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + bytes.len() <= self.pool.capacity_bytes {
            kept.bytes += bytes.len();
            kept.buffers.push(bytes);
        }
    }
}
