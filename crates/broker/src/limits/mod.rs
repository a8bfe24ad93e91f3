//! Bounds on what all clients together may hold: bytes of unanswered requests, and connections.

mod connections;
mod request_bytes;

pub use connections::{Connections, Refused, Seat};
pub use request_bytes::{Client, Displaced, Held, RequestBytes, Share};
