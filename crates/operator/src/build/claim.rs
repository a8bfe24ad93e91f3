//! The claim for a broker's data.

use std::collections::BTreeMap;

use crd::{labels, quantity};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use model::BrokerId;
use model::size::Bytes;

use super::lasting;
use crate::valid::Valid;

/// The claim of a broker whose service has this port on every node. The claim remembers the port, since it may outlive the
/// service.
#[must_use]
pub fn build(
    valid: &Valid,
    broker: BrokerId,
    pool: &str,
    storage: Bytes,
    node_port: Option<u16>,
) -> PersistentVolumeClaim {
    let name = labels::claim_name(valid.name(), valid.id(), broker);
    let mut metadata = lasting(valid, name, valid.broker_labels(broker, pool));
    metadata.annotations =
        node_port.map(|port| BTreeMap::from([(labels::NODE_PORT.to_owned(), port.to_string())]));
    let requests = BTreeMap::from([("storage".to_owned(), Quantity(quantity::print(storage)))]);
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
            storage_class_name: valid.making(pool).storage_class,
            volume_mode: Some("Filesystem".to_owned()),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// The port that a claim remembers.
#[must_use]
pub fn node_port(claim: &PersistentVolumeClaim) -> Option<u16> {
    claim.annotations().get(labels::NODE_PORT)?.parse().ok()
}

/// How much a claim asks for.
#[must_use]
pub fn asked(claim: &PersistentVolumeClaim) -> Option<Bytes> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    quantity::parse(&requests.get("storage")?.0)
}
