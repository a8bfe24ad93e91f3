//! Kafka's wire protocol as bytes: messages of every key and version, frames, record batches.
//!
//! This crate turns bytes into values and values into bytes, and does nothing else: it knows no socket, no file, no
//! clock, no topic and no broker. Everything it reads may come from an enemy, so every length is checked against
//! the bytes that are there before anything is allocated, and every failure is a value. Nothing else in the
//! workspace knows a Kafka byte layout.
//!
//! What it decodes borrows from the frame ([`Str`] and [`bytes::Bytes`] are counted references into it), and what
//! it encodes is a list of slices, so records pass through the broker without being copied.
//!
//! Where to start:
//! - [`frame`]: length prefix and headers, the outermost layer;
//! - [`messages`]: generated from `schema/` by `cargo xtask generate`, a module for each API key;
//! - [`codec`]: the primitive types that the generated code is made of, and their bounds;
//! - [`batch`]: record batches, which pass through without being decoded;
//! - [`legacy`]: the message sets of old clients, from and to batches;
//! - [`ApiKey`], [`ErrorCode`] and [`versions`]: the tables.

pub mod batch;
pub mod codec;
pub mod frame;
pub mod legacy;
#[path = "generated/mod.rs"]
pub mod messages;
pub mod versions;

pub use codec::{DecodeError, Decoder, EncodeError, Encoder, Message, Records, Request, Slice, Slices, Str};
pub use messages::{ApiKey, ErrorCode};

// The fuzz targets are shared with another crate and name this one by its name.
#[cfg(test)]
extern crate self as protocol;
#[cfg(test)]
mod tests;
