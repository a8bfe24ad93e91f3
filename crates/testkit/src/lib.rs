//! What tests of this workspace share: databases, processes, watched logs, other people's clients.
//!
//! Start at [`Database`] for a test that needs Postgres, at [`process`] for one that drives the product's own
//! programs, at [`tools`] for clients that others wrote. It knows no product type: the programs are driven from
//! outside, as their users drive them.
//!
//! A helper here panics when it cannot do its work, with a sentence that says what is missing: a test has
//! nobody to return an error to.

mod database;
pub mod installed;
pub mod log_watch;
pub mod process;
pub mod tools;

pub use database::{Database, SERVER_VARIABLE};
pub use log_watch::quiet;
pub use process::{Process, World};
