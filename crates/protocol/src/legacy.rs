//! Message sets (magic 0 and 1): what clients from before Kafka 0.11 send and understand instead of batches.
//!
//! The log holds batches only. What an old producer sends becomes one batch before anything else looks at it
//! ([`to_batch`]); what an old consumer gets is made from batches when it asks ([`from_batches`]), always without
//! compression, which every old client reads, whatever it has been built with. Both directions cost a copy and, for
//! compressed records, a decompression: nobody should care for clients of that age.
//!
//! A message is: offset 8, length of the rest 4, CRC-32 of all that follows 4, magic 1, attributes 1, timestamp 8
//! (magic 1 only), key and value, each behind an int32 length of which -1 means null. A compressed message holds
//! a whole message set in its value, one level deep.
//!
//! Headers of records, producer ids and transactions did not exist yet and are lost on the way to old consumers.

mod read;
mod write;

pub use read::to_batch;
pub use write::from_batches;

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Magic {
    /// Without timestamps.
    V0,
    /// With timestamps.
    V1,
}

impl Magic {
    /// What a consumer that speaks this version of Fetch understands; nothing if it understands batches.
    pub fn of_fetch(version: i16) -> Option<Magic> {
        match version {
            ..=1 => Some(Magic::V0),
            2 | 3 => Some(Magic::V1),
            _ => None,
        }
    }

    fn from_byte(byte: i8) -> Option<Magic> {
        match byte {
            0 => Some(Magic::V0),
            1 => Some(Magic::V1),
            _ => None,
        }
    }

    fn byte(self) -> i8 {
        match self {
            Magic::V0 => 0,
            Magic::V1 => 1,
        }
    }
}

/// Offset and length in front of a message.
const ENTRY_BYTES: usize = 12;

const COMPRESSION_BITS: i8 = 0x07;
