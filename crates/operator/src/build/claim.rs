//! The claim for a broker's data.

use std::collections::BTreeMap;

use crd::{labels, quantity};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use model::BrokerId;
use model::size::Bytes;

use super::{kept, owned};
use crate::valid::Valid;

/// The claim of a broker. It belongs to the cluster's object only where its data goes with the object: what is collected
/// by the garbage collector cannot be taken back.
#[must_use]
pub fn build(valid: &Valid, broker: BrokerId, pool: &str, storage: Bytes) -> PersistentVolumeClaim {
    let name = labels::claim_name(valid.name(), valid.id(), broker);
    let labels = valid.broker_labels(broker, pool);
    let metadata = if valid.retains_claims { kept(valid, name, labels) } else { owned(valid, name, labels) };
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
