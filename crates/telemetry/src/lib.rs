//! What a process says about itself while it runs: log lines and metrics.
//!
//! Deliberately small: each crate names its own metrics beside the code that they count, and registers them in the
//! one registry that the process hands down. There is no global registry, so that two brokers or servers in one test
//! process do not count into each other.
//!
//! Invariant: logs go to standard error only. Standard output belongs to data and to the lines that other programs
//! wait for.

pub mod logs;
pub mod metrics;
mod registry;

pub use registry::{LATENCY_BUCKETS_SECONDS, Registry};
