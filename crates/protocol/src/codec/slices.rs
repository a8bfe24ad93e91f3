//! What an encoder produced: a list of slices to be written one after the other.

use bytes::{Bytes, BytesMut};

/// Encoded bytes in pieces, so that records stay where they are until the socket takes them.
#[derive(Clone, Debug, Default)]
pub struct Slices {
    parts: Vec<Bytes>,
    len_bytes: usize,
}

impl Slices {
    pub(super) fn new(parts: Vec<Bytes>) -> Slices {
        let len_bytes = parts.iter().map(Bytes::len).sum();
        Slices { parts, len_bytes }
    }

    /// How many bytes the pieces hold together.
    pub fn len(&self) -> usize {
        self.len_bytes
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// The pieces in order; none is empty.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// Everything in one piece, copied unless there is only one.
    pub fn into_bytes(mut self) -> Bytes {
        if self.parts.len() == 1 {
            return self.parts.swap_remove(0);
        }
        let mut whole = BytesMut::with_capacity(self.len_bytes);
        for part in &self.parts {
            whole.extend_from_slice(part);
        }
        whole.freeze()
    }
}

impl IntoIterator for Slices {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.parts.into_iter()
    }
}
