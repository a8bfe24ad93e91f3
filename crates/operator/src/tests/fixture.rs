//! Clusters and objects that read as sentences.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crd::{KafkaCluster, labels};
use k8s_openapi::api::core::v1::{Node, Pod, Secret, Service};
use keyring::pki::Ca;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use model::action::BrokerSpec;
use model::certificate::Validity;
use model::{BrokerId, Release, Timestamp};
use serde_json::{Value, json};

use crate::build::pod::Surroundings;
use crate::build::{pod, secret, service};
use crate::settings::Settings;
use crate::shelf::Shelf;
use crate::valid::{Valid, validate};

pub(crate) const UID: &str = "00000000-0000-0000-0000-000000000007";

pub(crate) const CLIENTS_CA: &str = "-----BEGIN CERTIFICATE-----\nclients\n-----END CERTIFICATE-----\n";

/// 2026-11-24T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_478_400_000);

pub(crate) const IMAGE: &str = "penstock/broker:1.0.0";

pub(crate) const NODE_PORT: u16 = 31_092;

/// The object of a cluster with one broker, as the API server gives it.
pub(crate) fn object() -> KafkaCluster {
    object_with(&json!({}))
}

/// The same with other fields in its spec.
pub(crate) fn object_with(spec: &Value) -> KafkaCluster {
    let mut object = json!({
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "KafkaCluster",
        "metadata": { "name": "orders", "namespace": "shop", "generation": 1, "uid": UID },
        "spec": {
            "release": "1.0.0",
            "pools": [{ "name": "brokers", "replicas": 1, "storage": { "size": "2Gi" } }],
            "config": { "num.partitions": "8" },
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    serde_json::from_value(object).expect("the fixture is an object")
}

pub(crate) fn valid() -> Valid {
    valid_with(&json!({}))
}

pub(crate) fn valid_with(spec: &Value) -> Valid {
    validate(&object_with(spec), Some(CLIENTS_CA)).expect("the fixture is valid")
}

pub(crate) fn spec(valid: &Valid, broker: i32) -> BrokerSpec {
    let wanted = valid.intent.brokers().find(|(id, _)| *id == BrokerId(broker));
    let (id, pool) = wanted.expect("the broker is wanted");
    planner::spec::of(&valid.intent, id, pool)
}

pub(crate) fn settings() -> Settings {
    Settings {
        images: BTreeMap::from([(Release("1.0.0".to_owned()), IMAGE.to_owned())]),
        pull_policy: "IfNotPresent".to_owned(),
        namespace: None,
    }
}

/// When a broker's certificate is valid that was made now.
pub(crate) fn certificate() -> Validity {
    Validity { from: NOW, until: NOW.plus(Duration::from_secs(825 * 86_400)) }
}

/// The cluster's authority; the same one for as long as the process of the test runs.
pub(crate) fn ca() -> &'static Ca {
    static CA: std::sync::OnceLock<Ca> = std::sync::OnceLock::new();
    CA.get_or_init(|| Ca::new("orders brokers", NOW).expect("an authority"))
}

pub(crate) fn ca_secret(valid: &Valid) -> Secret {
    secret::authority(valid, labels::cluster_ca_name(valid.name(), valid.id()), ca())
}

/// The service of a broker, with its port.
pub(crate) fn broker_service(valid: &Valid, broker: i32) -> Service {
    service::broker(valid, BrokerId(broker), "brokers", Some(NODE_PORT))
}

/// A broker's pod as it was made; `status` is what its kubelet says.
pub(crate) fn pod_of(valid: &Valid, broker: i32, status: Value) -> Pod {
    let around = Surroundings {
        image: IMAGE,
        pull_policy: "IfNotPresent",
        node_port: NODE_PORT,
        cluster_ca: ca().cert_pem(),
        certificate: certificate(),
    };
    let mut pod = pod::build(valid, &spec(valid, broker), &around);
    let uid = format!("pod-{broker}");
    pod.metadata.uid = Some(uid);
    pod.metadata.resource_version = Some("41".to_owned());
    pod.metadata.creation_timestamp = serde_json::from_value(json!("2026-11-24T00:00:00Z")).ok();
    if let Some(spec) = &mut pod.spec {
        spec.node_name = Some("node1".to_owned());
    }
    pod.status = serde_json::from_value(status).expect("the fixture is a status");
    pod
}

/// What a kubelet says of a container that runs, having been started again so often.
pub(crate) fn running(restarts: i32) -> Value {
    json!({
        "phase": "Running",
        "hostIP": "10.201.0.11",
        "podIP": "127.0.0.1",
        "containerStatuses": [{
            "name": "broker", "image": IMAGE, "imageID": "", "ready": true, "restartCount": restarts,
            "state": { "running": { "startedAt": "2026-11-24T00:00:01Z" } },
        }],
    })
}

/// What a kubelet says of a container whose process ended and which waits for its next start.
pub(crate) fn backing_off(restarts: i32, code: i32, message: &str) -> Value {
    json!({
        "phase": "Running",
        "hostIP": "10.201.0.11",
        "podIP": "127.0.0.1",
        "containerStatuses": [{
            "name": "broker", "image": IMAGE, "imageID": "", "ready": false, "restartCount": restarts,
            "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } },
            "lastState": { "terminated": {
                "exitCode": code, "reason": "Error", "message": message, "finishedAt": "2026-11-24T00:00:02Z",
            } },
        }],
    })
}

/// What a kubelet says of a container that waits for this reason and never ran.
pub(crate) fn waiting(reason: &str) -> Value {
    json!({
        "phase": "Pending",
        "containerStatuses": [{
            "name": "broker", "image": IMAGE, "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": reason, "message": "so it is" } },
        }],
    })
}

/// A node whose kubelet reports, or does not.
pub(crate) fn node(name: &str, ready: &str) -> Node {
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": "10.201.0.11" },
                { "type": "Hostname", "address": name },
            ],
            "conditions": [{ "type": "Ready", "status": ready, "lastTransitionTime": "2026-11-24T00:00:00Z" }],
        },
    }))
    .expect("the fixture is a node")
}

/// Puts objects on a shelf, as a first list does.
pub(crate) fn fill<K: Resource + Clone>(shelf: &Shelf<K>, objects: &[K]) {
    shelf.take(Ok(Event::Init));
    for object in objects {
        shelf.take(Ok(Event::InitApply(object.clone())));
    }
    shelf.take(Ok(Event::InitDone));
}

pub(crate) fn by_name(nodes: Vec<Node>) -> BTreeMap<String, Arc<Node>> {
    nodes.into_iter().map(|node| (node.name_any(), Arc::new(node))).collect()
}
