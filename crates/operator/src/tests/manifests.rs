//! What the objects look like, as files that a change shows up in.

use expect_test::{ExpectFile, expect_file};
use kube::ResourceExt;
use model::{BrokerId, Bytes};
use serde::Serialize;
use serde_json::json;

use super::fixture::{IMAGE, NODE_PORT, certificate, spec, valid, valid_with};
use crate::build::pod::Surroundings;
use crate::build::{budget, claim, config, network, pod, secret, service};
use crate::valid::Valid;

fn check(object: &impl Serialize, expected: ExpectFile) {
    expected.assert_eq(&serde_saphyr::to_string(object).expect("our objects are YAML"));
}

fn around(image: &str) -> Surroundings<'_> {
    Surroundings {
        image,
        pull_policy: "IfNotPresent",
        node_port: NODE_PORT,
        cluster_ca: "authority",
        certificate: certificate(),
    }
}

fn pod_from(valid: &Valid, image: &str) -> k8s_openapi::api::core::v1::Pod {
    pod::build(valid, &spec(valid, 0), &around(image))
}

#[test]
fn every_kind_is_as_it_was() {
    let valid = valid();
    check(&pod_from(&valid, IMAGE), expect_file!["golden/pod.yaml"]);
    check(
        &claim::build(&valid, BrokerId(0), "brokers", Bytes::gib(2), None),
        expect_file!["golden/claim.yaml"],
    );
    check(&service::bootstrap(&valid), expect_file!["golden/service-bootstrap.yaml"]);
    check(
        &service::broker(&valid, BrokerId(0), "brokers", Some(NODE_PORT)),
        expect_file!["golden/service-broker.yaml"],
    );
    check(&config::build(&valid, &spec(&valid, 0), NODE_PORT), expect_file!["golden/config.yaml"]);
    check(&budget::build(&valid), expect_file!["golden/budget.yaml"]);
    check(&network::build(&valid), expect_file!["golden/network.yaml"]);
}

fn files() -> secret::ClientFiles {
    secret::ClientFiles { certificate: "certificate".to_owned(), key: "key".to_owned() }
}

#[test]
fn a_client_finds_what_herokus_clients_look_for() {
    let files = files();
    let endpoint = |port| model::status::Endpoint { host: "10.201.0.11".to_owned(), port };
    let made = secret::client(&valid(), &[endpoint(31_092), endpoint(31_093)], "authority", &files);
    let text = |key| secret::text(&made, key);
    assert_eq!(
        text("KAFKA_URL").as_deref(),
        Some("kafka+ssl://10.201.0.11:31092,kafka+ssl://10.201.0.11:31093")
    );
    assert_eq!(text("KAFKA_TRUSTED_CERT").as_deref(), Some("authority"));
    assert_eq!(secret::read_client(&made), Some(files));
}

#[test]
fn another_image_for_a_release_restarts_nobody() {
    let valid = valid();
    let (before, after) = (pod_from(&valid, IMAGE), pod_from(&valid, "penstock/broker:rebuilt"));
    assert_ne!(before.spec, after.spec);
    assert_eq!(before.annotations(), after.annotations(), "what is compared is the same");
}

#[test]
fn selectors_name_only_what_never_changes() {
    let (small, renamed_pool) =
        (valid(), valid_with(&json!({ "pools": [{ "name": "others", "brokers": [0] }] })));
    assert_eq!(small.selector(), renamed_pool.selector());
    assert_eq!(small.broker_selector(BrokerId(0)), renamed_pool.broker_selector(BrokerId(0)));
    let carried = small.broker_labels(BrokerId(0), "brokers");
    assert!(small.broker_selector(BrokerId(0)).iter().all(|(key, value)| carried.get(key) == Some(value)));
}

#[test]
fn data_and_authorities_outlive_the_object_unless_told_otherwise() {
    assert!(super::fixture::ca_secret(&valid()).owner_references().is_empty());
    let goes = valid_with(&json!({ "deletion": "Delete" }));
    assert_eq!(super::fixture::ca_secret(&goes).owner_references().len(), 1);
    let claim_of = |valid: &Valid| claim::build(valid, BrokerId(0), "brokers", Bytes::gib(2), None);
    assert!(claim_of(&valid()).owner_references().is_empty());
    assert_eq!(claim_of(&valid_with(&json!({ "deletion": "Delete" }))).owner_references().len(), 1);
}

#[test]
fn nothing_holds_up_a_deletion() {
    let valid = valid();
    let objects: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta> = vec![
        pod_from(&valid, IMAGE).metadata,
        service::bootstrap(&valid).metadata,
        service::broker(&valid, BrokerId(0), "brokers", None).metadata,
        config::build(&valid, &spec(&valid, 0), NODE_PORT).metadata,
        budget::build(&valid).metadata,
        network::build(&valid).metadata,
        secret::client(&valid, &[], "authority", &files()).metadata,
    ];
    for meta in objects {
        assert!(meta.finalizers.is_none(), "{:?}", meta.name);
        let owners = meta.owner_references.expect("the cluster owns it");
        assert_eq!(owners[0].block_owner_deletion, Some(false));
        assert_eq!(owners[0].uid, super::fixture::UID);
    }
}

#[test]
fn resources_are_what_was_asked_for_or_small() {
    let container = |valid: &Valid| pod_from(valid, IMAGE).spec.expect("a spec").containers.remove(0);
    let small = container(&valid()).resources.expect("resources");
    assert_eq!(small.requests.expect("requests")["memory"].0, "64Mi");
    let asked = valid_with(&json!({
        "pools": [{ "name": "brokers", "replicas": 1, "storage": { "size": "2Gi" }, "resources": { "requests": { "cpu": "2" } } }],
    }));
    let asked = container(&asked).resources.expect("resources");
    assert_eq!(asked.requests.expect("requests").keys().collect::<Vec<_>>(), ["cpu"]);
    assert!(asked.limits.expect("limits").is_empty(), "a request may be larger than our own limit");
}
