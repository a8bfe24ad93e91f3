//! What the tests (`main.rs`) and the one program of theirs (`stand_in.rs`) must agree on.

/// Where a stand-in on the test cluster's nodes asks what it is to do: this machine as its nodes see it
/// (`crates/xtask/src/kube/place.rs`), on a port that nothing else of the cluster uses.
pub const STAGE: &str = "10.201.0.1:19464";
