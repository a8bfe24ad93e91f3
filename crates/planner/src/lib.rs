//! Decides what to do next. Pure: no I/O, no clock, no random number, and no failure on well-formed input.
//!
//! - [`cluster::decide`] is the entry point: from what is wanted, what was seen and what is remembered of one cluster
//!   to actions, the reasons for every wait, and a status;
//! - [`certificates`] says when a certificate is renewed;
//! - [`memory`] is what must be remembered from one decision to the next, kept by `agent::Machine`;
//! - [`verify()`] holds a decision against the rules that no decision may break, whoever made it.
//!
//! Inside, one file for each concern: [`stand`] reads an observation once so that nothing else looks at raw input,
//! `heal` starts what has ended, `reach` says how long an address may take to lead to its broker, `rolling` takes up changes one broker at a time, `winding` stops and removes, and
//! `report` puts it into words.
//!
//! Five rules outrank everything else, and [`verify()`] knows them independently of the code that decides:
//!
//! 1. What was not seen is unknown, never absent; nothing is done to it.
//! 2. A broker that checks its logs is left alone, however long that takes, unless its data is to be deleted anyway.
//! 3. At most one broker of a cluster is down by our own doing.
//! 4. Nothing is deleted unless the cluster's lifecycle is `Remove`, and no data of a broker whose process may live.
//! 5. Whatever is not as it is wanted has a reason, and a moment at which it is looked at again.

pub mod backoff;
pub mod certificates;
pub mod cluster;
mod heal;
pub mod memory;
mod reach;
mod report;
mod rolling;
pub mod spec;
pub mod stand;
pub mod verify;
mod winding;

pub use cluster::{Decision, decide};
pub use memory::Memory;
pub use verify::verify;

#[cfg(test)]
mod tests;
