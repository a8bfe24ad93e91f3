//! What stands next to the brokers of a cluster and keeps them as their intent wants them.
//!
//! - [`dispatch`] is seam A: how an intent reaches an agent and a status comes back;
//! - [`substrate`] is seam B: how an agent sees brokers and acts on them;
//! - [`clock`] is where time comes from, the only place on this side of Penstock that reads a real clock;
//! - [`machine`] turns intent and observation into actions and a status, with a little memory and no I/O;
//! - [`driver`] is the loop around it: observe, step, perform;
//! - [`probe`] asks a broker how it is, for substrates that run the real one;
//! - [`metrics`] is what is counted about all of it;
//! - [`fleet`] is all drivers of one process, and [`board`] where they put up what they say.
//!
//! Both seams have more than one user from the first day: child processes on one machine (`local`) and a fake world
//! with virtual time (`sim`) both run the same [`Machine`], and Kubernetes will.
//!
//! What this crate deliberately does not know: what a broker is made of, where intents are stored, and what to do
//! next. The last is `planner`'s; the machine only remembers for it.

pub mod board;
pub mod clock;
pub mod dispatch;
pub mod driver;
pub mod fleet;
pub mod machine;
pub mod metrics;
pub mod probe;
pub mod substrate;

pub use board::Board;
pub use clock::Clock;
pub use dispatch::{Dispatch, DispatchError};
pub use driver::Driver;
pub use fleet::Fleet;
pub use machine::Machine;
pub use metrics::Metrics;
pub use planner::Decision;
pub use substrate::{Performed, Substrate, SubstrateError, one_listener};
