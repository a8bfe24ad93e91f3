//! What the objects of a cluster look like: one file a kind, pure, from a validated cluster.
//!
//! The same input gives the same object, byte by byte: an object that differs from what was applied before was changed
//! by somebody, and none is applied again for no reason.

pub mod budget;
pub mod claim;
pub mod config;
pub mod network;
pub mod pod;
pub mod secret;
pub mod service;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::valid::Valid;

/// The port on which a broker serves clients, in its pod.
pub const CLIENT_PORT: u16 = 9092;

/// The port of a broker's admin HTTP, in its pod.
pub const ADMIN_PORT: u16 = 9464;

/// Metadata of an object that goes with the cluster's.
pub(crate) fn owned(valid: &Valid, name: String, labels: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta { owner_references: Some(vec![valid.owner.clone()]), ..kept(valid, name, labels) }
}

/// Metadata of an object that goes with the cluster's only where data does: what is collected by the garbage collector
/// cannot be taken back.
pub(crate) fn lasting(valid: &Valid, name: String, labels: BTreeMap<String, String>) -> ObjectMeta {
    match valid.retains_data {
        true => kept(valid, name, labels),
        false => owned(valid, name, labels),
    }
}

/// Metadata of an object that outlives the cluster's.
fn kept(valid: &Valid, name: String, labels: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(valid.namespace.clone()),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}
