//! Bounds on what all clients together may hold: bytes of unanswered requests and of untaken answers, and connections.

mod answer_bytes;
mod connections;
mod request_bytes;

pub use answer_bytes::{AnswerBytes, Unsent};
pub use connections::{Connections, Refused, Seat};
pub use request_bytes::{Client, Displaced, Held, RequestBytes, Share};
