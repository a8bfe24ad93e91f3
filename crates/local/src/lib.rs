//! Clusters on one machine: brokers are child processes, and this server is their only agent.
//!
//! - [`Local`] is the substrate: it sees and acts on processes and directories;
//! - [`InProcess`] is the dispatch: it keeps every published intent on disk and runs one `agent::Driver` for each.
//!
//! Start reading at [`substrate`]; below it, `broker` is one broker's process and place, `layout` says what lies where
//! on disk, `procfs` and `watch` tell which process is alive and when it ends.
//!
//! What it deliberately does not know: what to do next (that is `planner`'s), Postgres, and the broker's code. It
//! starts the broker *binary* and never links it; what both agree on is a properties file, an admin port and exit codes.
//!
//! Invariants:
//! - Brokers outlive this process, however it ends, and are found again: by process id *and* start time *and* command
//!   line. While that is in doubt none is started.
//! - One directory belongs to one server at a time (a lock says so).
//! - Addresses are chosen once and stay, so a client's `KAFKA_URL` outlives every restart.
//! - What holds a secret has mode 0600 from its first byte on. Broker processes inherit no environment and no secrets.

mod authority;
mod broker;
mod cluster;
pub mod dispatch;
mod exit;
mod files;
mod layout;
mod port;
mod procfs;
mod properties;
pub mod substrate;
mod watch;

pub use dispatch::InProcess;
pub use substrate::{Config, Local, OpenError};

#[cfg(test)]
mod tests;
