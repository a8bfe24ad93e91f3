//! Partition storage: an append-only log of record batches in segment files, laid out as Apache Kafka does.
//!
//! A [`PartitionLog`] takes batches as they came from the network, stamps offset and epoch on them, writes
//! them with one system call, and hands out ranges of files or the very bytes it was given. It is synchronous
//! and deterministic: the clock is an argument, files are behind the [`io::Io`] trait, nothing here spawns,
//! sleeps or locks a log. The broker owns one log a partition behind a lock of its own and calls it inline.
//!
//! What it deliberately does not know: topics' configuration as text, replication, who may read or write, and
//! when to flush, retain or compact; each of those is a call that the broker makes.
//!
//! Invariants
//! - Offsets in a log only grow, and a batch is never changed once it is written, except by compaction, which
//!   writes other files.
//! - Everything below the recovery point is on disk, indexes and producers included; a start after a crash of
//!   the machine reads only what lies behind it.
//! - Nothing is skipped silently: bytes that are not sound batches end the log at recovery and are reported
//!   with file, position and offset.
//! - An idle log holds no open file, no buffer and no index in memory.
//!
//! Start reading at [`PartitionLog`], then `append`, `read` and `recovery`; [`Store`] is what all logs of a
//! data directory share.

mod append;
mod buffers;
mod checkpoint;
mod compact;
mod config;
mod epochs;
mod flush;
mod handles;
mod index;
pub mod io;
mod layout;
mod log;
mod lookup;
mod producers;
mod read;
mod recent;
mod recovery;
mod retention;
mod run;
mod scan;
mod segment;
mod store;
mod truncate;
mod txn;

pub use append::{AppendError, AppendInfo, Origin};
pub use checkpoint::Offsets;
pub use compact::{Compacted, Compaction};
pub use config::{LogConfig, TimestampType};
pub use epochs::EpochEnd;
pub use flush::{Extent, Flush, Flushed};
pub use log::{PartitionLog, ProducerInfo};
pub use lookup::TimedOffset;
pub use producers::ProducerError;
pub use read::{FileRange, Loaded, Read, ReadError};
pub use recovery::{Damage, RecoveryReport};
pub use store::{Checkpoint, Found, Known, Startup, Stopped, StorageError, Store, StoreConfig};
pub use truncate::{DeleteError, Garbage};
pub use txn::Aborted;

#[cfg(test)]
mod tests;
