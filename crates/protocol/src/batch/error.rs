//! What can be wrong with a batch, and what Kafka calls it.

use crate::ErrorCode;
use crate::batch::Compression;

/// Why bytes are not a batch that the broker accepts.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The bytes end inside the batch.
    #[error("a batch of {wanted} bytes, of which only {remaining} are there")]
    Truncated {
        /// How long the batch, or at least its header, is.
        wanted: usize,
        /// How many bytes there are.
        remaining: usize,
    },
    /// The length does not even cover the header.
    #[error("a batch cannot be {0} bytes long")]
    Length(i32),
    /// Another format: 0 and 1 are message sets, others unknown.
    #[error("record format (magic) {0}, where 2 is wanted")]
    Magic(i8),
    /// The bytes were damaged.
    #[error("checksum {computed:08x}, but the batch says {stored:08x}")]
    Crc {
        /// What the batch says.
        stored: u32,
        /// What its bytes amount to.
        computed: u32,
    },
    /// Header fields contradict each other or what a producer may send.
    #[error("{0}")]
    Header(&'static str),
    /// A record is malformed.
    #[error("record {index}: {problem}")]
    Record {
        /// Which one, from 0.
        index: i32,
        /// What is wrong.
        problem: &'static str,
    },
    /// A compacted topic needs keys.
    #[error("a record has no key, which a compacted topic needs")]
    KeysMissing {
        /// Which ones, from 0; at most the first thousand.
        records: Vec<i32>,
    },
    /// The attributes name no compression that exists.
    #[error("compression type {0} is unknown")]
    UnknownCompression(u8),
    /// The compressed bytes are damaged.
    #[error("cannot decompress {codec}")]
    Decompress {
        /// What they should be.
        codec: Compression,
        /// What the codec says.
        #[source]
        source: std::io::Error,
    },
    /// The codec failed to compress again.
    #[error("cannot compress with {codec}")]
    Compress {
        /// Which one.
        codec: Compression,
        /// What the codec says.
        #[source]
        source: std::io::Error,
    },
    /// Decompressing would take more memory than allowed: a mistake or a bomb.
    #[error("the batch decompresses to more than {limit} bytes")]
    TooLarge {
        /// How much is allowed.
        limit: usize,
    },
}

impl BatchError {
    /// The code that a producer gets.
    pub fn code(&self) -> ErrorCode {
        match self {
            BatchError::Truncated { .. }
            | BatchError::Length(_)
            | BatchError::Crc { .. }
            | BatchError::Decompress { .. } => ErrorCode::CorruptMessage,
            BatchError::Magic(_)
            | BatchError::Header(_)
            | BatchError::Record { .. }
            | BatchError::KeysMissing { .. } => ErrorCode::InvalidRecord,
            BatchError::UnknownCompression(_) => ErrorCode::UnsupportedCompressionType,
            BatchError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            BatchError::Compress { .. } => ErrorCode::UnknownServerError,
        }
    }
}
