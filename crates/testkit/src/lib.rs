//! What tests of this workspace share: databases, processes, watched logs, files that clean up after
//! themselves.
//!
//! Start at [`Database`] for a test that needs Postgres, at [`process`] for one that needs the product's own
//! programs. It knows no product type: the programs are driven from outside, as their users drive them.
//!
//! A helper here panics when it cannot do its work, with a sentence that says what is missing: a test has
//! nobody to return an error to.

mod database;

pub use database::{Database, SERVER_VARIABLE};
