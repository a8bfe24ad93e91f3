//! Secrets: sealing what Postgres may hold but not read, certificates, and API tokens.
//!
//! - [`seal`] wraps a secret for storage, bound to the place it belongs to;
//! - [`pki`] makes certificate authorities and issues server and client certificates from them;
//! - [`token`] makes API tokens and the hashes by which they are recognised.
//!
//! What it deliberately does not know: where sealed bytes are stored, who owns a certificate, what a token may do.
//! Points in time are arguments. Keys and nonces are the exception to the rule that randomness is one too: a
//! predictable key is a broken key, so no caller gets the chance to supply it.

pub mod pki;
pub mod seal;
pub mod token;
