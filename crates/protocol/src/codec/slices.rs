//! What an encoder produced: a list of slices to be written one after the other.

use bytes::{Bytes, BytesMut};

/// The records of a partition in a response.
///
/// A broker need not hold them in memory: it may say how many there are and send them from a file when the socket
/// has room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// The bytes themselves. What was decoded is always this.
    Here(Bytes),
    /// That many bytes, which whoever writes the response must supply.
    Elsewhere(usize),
}

impl Records {
    /// How many bytes of records there are.
    pub fn len(&self) -> usize {
        match self {
            Records::Here(bytes) => bytes.len(),
            Records::Elsewhere(len_bytes) => *len_bytes,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are here.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Records::Here(bytes) => Some(bytes),
            Records::Elsewhere(_) => None,
        }
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records::Here(bytes)
    }
}

/// A piece of an encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slice {
    /// These bytes.
    Bytes(Bytes),
    /// That many bytes from where [`Records::Elsewhere`] said; never zero.
    Elsewhere(usize),
}

impl Slice {
    /// How many bytes the piece stands for.
    pub fn len(&self) -> usize {
        match self {
            Slice::Bytes(bytes) => bytes.len(),
            Slice::Elsewhere(len_bytes) => *len_bytes,
        }
    }

    /// Whether it stands for none, which no slice of an encoder does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Encoded bytes in pieces, so that records stay where they are until the socket takes them.
#[derive(Clone, Debug, Default)]
pub struct Slices {
    parts: Vec<Slice>,
    len_bytes: usize,
}

impl Slices {
    pub(super) fn new(parts: Vec<Slice>) -> Slices {
        let len_bytes = parts.iter().map(Slice::len).sum();
        Slices { parts, len_bytes }
    }

    /// How many bytes the pieces stand for together.
    pub fn len(&self) -> usize {
        self.len_bytes
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// The pieces in order; none is empty. Those that lie elsewhere come in the order of the message's partitions.
    pub fn parts(&self) -> &[Slice] {
        &self.parts
    }

    /// Everything in one piece, copied unless there is only one; nothing if some of it lies elsewhere.
    pub fn into_bytes(self) -> Option<Bytes> {
        if let [Slice::Bytes(only)] = self.parts.as_slice() {
            return Some(only.clone());
        }
        let mut whole = BytesMut::with_capacity(self.len_bytes);
        for part in &self.parts {
            match part {
                Slice::Bytes(bytes) => whole.extend_from_slice(bytes),
                Slice::Elsewhere(_) => return None,
            }
        }
        Some(whole.freeze())
    }
}

impl IntoIterator for Slices {
    type Item = Slice;
    type IntoIter = std::vec::IntoIter<Slice>;

    fn into_iter(self) -> Self::IntoIter {
        self.parts.into_iter()
    }
}
