//! Clusters in a fake world with virtual time: the same `agent::Machine`, no process, no clock, no waiting.
//!
//! - [`world`] is what brokers and their substrate do, honestly or with the faults they were told to have;
//! - [`simulation`] runs the machine in it, one event after the other, and writes down what happens;
//! - [`scenario`] is the text in which a course of events is written, for any stage that can play it: this simulation,
//!   child processes, Kubernetes;
//! - [`random`] makes up courses of events from a seed, and holds the world against what must never happen;
//! - [`substrate`] and [`dispatch`] put the world behind both seams, for whoever wants clusters without processes.
//!
//! Everything is a function of its input and a seed: the same seed gives the same transcript, byte for byte.
//!
//! What it deliberately does not know: what a broker does with records. Whether they survive is tested elsewhere, with
//! real brokers.

pub mod dispatch;
pub mod random;
pub mod scenario;
pub mod simulation;
pub mod substrate;
pub mod world;

pub use dispatch::InMemory;
pub use simulation::Simulation;
pub use world::World;

#[cfg(test)]
mod tests;
