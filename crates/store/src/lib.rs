//! The platform's Postgres: the only crate that contains SQL.
//!
//! One module for each table (or pair that is never read apart), one function for each question. A function takes the
//! transaction that it works in, so that a use case decides what belongs together; nothing here begins or commits one
//! by itself. Absence is `Ok(None)`: whether it is an error is the use case's to say.
//!
//! What it deliberately does not know: who may ask (that is `control`), what to do about what it finds (`reconciler`),
//! how secrets are sealed (`keyring`): it stores bytes.
//!
//! Queries are checked against the schema at compile time from the files in `.sqlx/`; building needs no database.
//! `cargo xtask generate` rewrites them. Start reading at [`Store`], then [`resource`] and [`cluster`].

pub mod account;
pub mod app;
pub mod audit;
pub mod backlog;
pub mod cluster;
pub mod credential;
pub mod error;
pub mod idempotency;
pub mod job;
pub mod lease;
pub mod observation;
pub mod operation;
pub mod outbox;
pub mod plan;
pub mod resource;
pub mod wake;

mod code;
mod metrics;
mod pool;

pub use error::{Constraint, StoreError};
pub use lease::Lease;
pub use pool::{Store, Tx};
