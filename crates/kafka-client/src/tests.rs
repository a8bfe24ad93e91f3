//! The client against a small broker made of scripted answers, over plaintext and TLS.

mod connection;
mod fake;
mod tls;
