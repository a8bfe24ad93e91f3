//! The rules of the schema, evaluated as the API server does. On a real server they are put to the test in
//! `tests/kubernetes`.

use kube::CustomResourceExt;
use kube_cel::Validator;
use serde_json::{Value, json};

use crate::spec::KafkaCluster;

/// A cluster with everything that defaulting adds.
fn cluster() -> Value {
    json!({
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "KafkaCluster",
        "metadata": { "name": "orders" },
        "spec": {
            "release": "1.0.0",
            "featureLevel": 2,
            "pools": [{ "name": "brokers", "replicas": 1, "storage": { "size": "10Gi", "class": "fast" } }],
            "listeners": [{ "name": "SSL", "security": "MutualTls" }],
            "config": { "num.partitions": "8" },
            "lifecycle": "Run",
            "deletion": "Retain",
            "clusterId": "00000000-0000-0000-0000-000000000007",
            "intent": { "generation": 3 },
        },
    })
}

/// The same with one place replaced, or taken away by null.
fn with(path: &str, value: Value) -> Value {
    let mut object = cluster();
    let (parent, key) = path.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => parent.remove(key),
        value => parent.insert(key.to_owned(), value),
    };
    object
}

fn messages(object: &Value, old: Option<&Value>) -> Vec<String> {
    let definition = serde_json::to_value(KafkaCluster::crd()).unwrap();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
    match Validator::new().validate(schema, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_iter().map(|error| error.message).collect(),
    }
}

#[track_caller]
fn refused(object: &Value, old: Option<&Value>, part: &str) {
    let said = messages(object, old);
    assert!(said.len() == 1 && said[0].contains(part), "{part}: {said:?}");
}

#[track_caller]
fn accepted(object: &Value, old: Option<&Value>) {
    assert_eq!(messages(object, old), Vec::<String>::new());
}

#[test]
fn a_good_object_is_accepted_new_and_unchanged() {
    accepted(&cluster(), None);
    accepted(&cluster(), Some(&cluster()));
}

#[test]
fn names_fit_into_names_of_services() {
    for name in ["Orders", "1orders", "orders.eu", "orders-", &"o".repeat(41)] {
        refused(&with("/metadata/name", json!(name)), None, "metadata.name");
    }
    accepted(&with("/metadata/name", json!("o".repeat(40))), None);
}

#[test]
fn storage_only_grows_whatever_its_unit() {
    let size = "/spec/pools/0/storage/size";
    accepted(&with(size, json!("10240Mi")), Some(&cluster()));
    accepted(&with(size, json!("11G")), Some(&cluster()));
    refused(&with(size, json!("10G")), Some(&cluster()), "storage only grows");
    refused(&with(size, json!("9Gi")), Some(&cluster()), "storage only grows");
    accepted(&with(size, json!("9Gi")), None);
}

#[test]
fn classes_ids_and_intents_never_change() {
    for class in [json!("slow"), Value::Null] {
        refused(&with("/spec/pools/0/storage/class", class), Some(&cluster()), "storage class");
    }
    for id in [json!("00000000-0000-0000-0000-000000000008"), Value::Null] {
        refused(&with("/spec/clusterId", id), Some(&cluster()), "clusterId never changes");
    }
    refused(&with("/spec/intent", Value::Null), Some(&cluster()), "intent stays");
    refused(&with("/spec/intent/generation", json!(2)), Some(&cluster()), "never falls");
    accepted(&with("/spec/intent/generation", json!(4)), Some(&cluster()));
    refused(&with("/spec/featureLevel", json!(1)), Some(&cluster()), "featureLevel never falls");
    accepted(&cluster(), Some(&with("/spec/intent", Value::Null)));
}

#[test]
fn a_removal_is_not_taken_back() {
    let removed = with("/spec/lifecycle", json!("Remove"));
    accepted(&removed, Some(&cluster()));
    refused(&cluster(), Some(&removed), "lifecycle stays Remove");
}

#[test]
fn node_ids_are_counted_or_given() {
    refused(&with("/spec/pools/0/brokers", json!([0])), None, "not both");
    let two = json!([
        { "name": "a", "brokers": [0], "storage": { "size": "1Gi" } },
        { "name": "b", "storage": { "size": "1Gi" } },
    ]);
    refused(&with("/spec/pools", two), None, "list its node ids");
}

#[test]
fn what_is_the_operators_to_set_is_refused() {
    refused(&with("/spec/config", json!({ "log.dirs": "/elsewhere" })), None, "the operator's to set");
}

/// The server refuses a rule whose cost it cannot bound, and a definition that is too large for `kubectl apply`.
#[test]
fn the_definition_is_small_and_every_list_in_the_spec_has_a_bound() {
    let text = crate::yaml().unwrap();
    assert!(text.len() < 100_000, "{} bytes", text.len());
    let definition = serde_json::to_value(KafkaCluster::crd()).unwrap();
    let spec = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
    let mut unbounded = Vec::new();
    find_unbounded(spec, "spec", &mut unbounded);
    assert_eq!(unbounded, Vec::<String>::new());
}

fn find_unbounded(schema: &Value, path: &str, unbounded: &mut Vec<String>) {
    let has = |key: &str| schema.get(key).is_some();
    let open = match schema.get("type").and_then(Value::as_str) {
        Some("array") => !has("maxItems"),
        Some("string") => !has("maxLength") && !has("enum"),
        Some("object") => !has("properties") && !has("maxProperties"),
        _ => false,
    };
    if open {
        unbounded.push(path.to_owned());
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        find_unbounded(property, &format!("{path}.{name}"), unbounded);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
            find_unbounded(inner, &format!("{path}[]"), unbounded);
        }
    }
}

#[test]
fn people_find_it_and_read_it() {
    let text = crate::yaml().unwrap();
    for part in [
        "shortNames",
        "- kc",
        "categories",
        "- penstock",
        "subresources",
        "additionalPrinterColumns",
        "storage only grows",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // Words of ours end up in `kubectl explain`; markup of ours must not.
    assert!(!text.contains("[`"), "{text}");
}
