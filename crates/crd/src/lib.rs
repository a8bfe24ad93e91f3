//! The custom resources of Penstock, group `penstock.dev`: what a person writes with `kubectl`, what the platform
//! publishes, and what the operator answers in the status.
//!
//! - [`KafkaCluster`] and the types of its [`spec`] and [`status`]: the schema that the API server keeps, with rules
//!   (CEL) for shape, for what never changes and for storage, which only grows;
//! - [`intent`] turns an object into a [`model::ClusterIntent`] and back, [`state`] a [`model::ClusterStatus`] into a
//!   status and back. Both are pure: whoever calls them has the object already;
//! - [`labels`] says by which labels and names the objects of a cluster are known;
//! - [`yaml`] is the definition as a file, for the chart.
//!
//! What it deliberately does not know: any client, any default that depends on a machine, and what to do.
//!
//! Invariants: an object that the API server accepted converts without loss into an intent, except for what a rule
//! cannot say (see [`intent::Invalid`]); every field has a bound, since the server weighs the cost of each rule by
//! it; one version is served, so there is no conversion.

pub mod intent;
pub mod labels;
pub mod quantity;
pub mod spec;
pub mod state;
pub mod status;

pub use spec::{KafkaCluster, KafkaClusterSpec};
pub use status::KafkaClusterStatus;

use kube::CustomResourceExt;

/// The definitions of all custom resources as one YAML file. The same for the same source, byte by byte.
///
/// # Errors
/// If a definition cannot be written as YAML: a mistake in its types.
pub fn yaml() -> Result<String, serde_saphyr::ser::Error> {
    let text = serde_saphyr::to_string(&KafkaCluster::crd())?;
    Ok(format!("# Written by `cargo xtask generate` from crates/crd; changes are lost.\n{text}"))
}

#[cfg(test)]
mod tests;
