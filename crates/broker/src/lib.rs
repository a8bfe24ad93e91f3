//! The Kafka broker: sockets in, record batches on disk, answers out.
//!
//! What it deliberately does not know: byte layouts of the protocol (`protocol` does), segment files (`log` does), the
//! control plane, SQL, Kubernetes. It is told what to be by [`config`], and says what it is by admin HTTP and one line
//! on stdout.
//!
//! Invariants:
//! - no task, timer or open file belongs to an idle partition or an idle group;
//! - a request is served on the thread that read it, appends included; only fsync, recovery and cleaning have threads
//!   of their own;
//! - no lock is held across an await, and every lock is held for a memory operation or a short append;
//! - everything that a client can make grow has a bound in [`config::Limits`].
//!
//! The life of a produced batch: [`connection`] reads a frame, [`api`] decodes it and calls `api::produce`, which
//! appends to a [`partition::Partition`], whose append wakes waiting fetches; the answer goes back as slices.
//!
//! Where to start: [`server`] for how it starts and stops, [`api`] for how a request is answered, [`metadata`] for how
//! topics come to be.

pub mod admin;
pub mod api;
pub mod broker;
pub mod clock;
pub mod config;
pub mod connection;
pub mod context;
pub mod coordinator;
pub mod durable;
pub mod fetch_sessions;
pub mod flush;
pub mod internal_topic;
pub mod limits;
pub mod listener;
pub mod metadata;
pub mod metrics;
pub mod partition;
pub mod principal;
pub mod quota;
mod recovery;
pub mod server;
pub mod status;
pub mod tls;
pub mod topics;
mod upkeep;

pub use broker::Broker;
pub use config::Config;
pub use context::{Context, Peer};
