//! Clusters and objects that read as sentences.

use crd::KafkaCluster;
use serde_json::json;

use crate::valid::{Valid, validate};

pub(crate) const UID: &str = "00000000-0000-0000-0000-000000000007";

pub(crate) const CLIENTS_CA: &str = "-----BEGIN CERTIFICATE-----\nclients\n-----END CERTIFICATE-----\n";

/// The object of a cluster with one broker, as the API server gives it.
pub(crate) fn object() -> KafkaCluster {
    serde_json::from_value(json!({
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "KafkaCluster",
        "metadata": { "name": "orders", "namespace": "shop", "generation": 1, "uid": UID },
        "spec": { "release": "1.0.0", "pools": [{ "name": "brokers", "replicas": 1, "storage": { "size": "2Gi" } }] },
    }))
    .expect("the fixture is an object")
}

pub(crate) fn valid() -> Valid {
    validate(&object(), Some(CLIENTS_CA)).expect("the fixture is valid")
}
