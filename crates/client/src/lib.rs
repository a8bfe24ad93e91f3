//! The REST client: one method for each operation of `/v1`, used by the CLI and by tests.
//!
//! What it deliberately does not know: where the address and the token come from, how anything is shown, which plan
//! to choose. Bodies are those of `api-types`.
//!
//! Invariants: a request that changes something carries an `Idempotency-Key` that stays the same over the retries of
//! one call, so that a lost answer costs nothing; only what cannot have happened twice is retried; an error says
//! whether the server was reached, refused, or answered something that is not ours.

mod error;
mod methods;
mod transport;

pub use error::Error;
pub use transport::{Client, Trust};
