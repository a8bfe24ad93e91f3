//! What the tests (`main.rs`) and the one program of theirs (`stand_in.rs`) must agree on.

/// This machine as the nodes of its test cluster see it (`crates/xtask/src/kube/place.rs`).
pub const THIS_MACHINE: &str = "10.201.0.1";

/// Where, on this machine, stand-ins ask what they are to do: a port that nothing else of the cluster uses.
pub const STAGE_PORT: u16 = 19464;
