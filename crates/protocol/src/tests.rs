//! Tests of the whole crate against what is not this crate: the schema read by a second, separate interpreter, and
//! the `kafka-protocol` crate, which somebody else wrote.

mod batches;
mod fuzz;
mod golden;
mod hostile;
mod legacy;
mod oracle;
mod round_trip;
mod wire;
