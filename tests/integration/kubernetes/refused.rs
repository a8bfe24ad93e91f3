//! What the API server itself refuses: the schema and the rules of the custom resource, as it understands them.

use super::{Kube, cluster_object};
use crate::platform::shown;

/// A spec, and a part of what is said about it.
const NEVER: &[(&str, &str)] = &[
    ("{}", "spec.release"),
    ("{release: ''}", "spec.release"),
    ("{release: '1', pools: []}", "spec.pools"),
    ("{release: '1', pools: [{name: a, replicas: 0}]}", "replicas"),
    ("{release: '1', pools: [{name: a, replicas: 1, brokers: [0]}]}", "not both"),
    ("{release: '1', pools: [{name: a, replicas: 1}, {name: b, brokers: [5]}]}", "node ids"),
    ("{release: '1', pools: [{name: a}, {name: a}]}", "Duplicate"),
    ("{release: '1', pools: [{name: a, storage: {size: 0Gi}}]}", "size"),
    ("{release: '1', config: {node.id: '7'}}", "leave these settings out"),
    ("{release: '1', config: {num.partitions: 4}}", "num.partitions"),
    (r#"{release: '1', config: {a: "one\ntwo"}}"#, "spec.config"),
    ("{release: '1', lifecycle: Sleep}", "lifecycle"),
    ("{release: '1', clusterId: not-a-uuid}", "clusterId"),
    ("{release: '1', relaese: '2'}", "relaese"),
];

/// What may not become of a cluster that is there, each as a merge patch, with a part of what is said about it.
const NO_MORE: &[(&str, &str)] = &[
    (r#"{"spec":{"pools":[{"name":"brokers","storage":{"size":"1Gi"}}]}}"#, "storage only grows"),
    (r#"{"spec":{"pools":[{"name":"brokers","storage":{"size":"2Gi","class":"fast"}}]}}"#, "storage class"),
    (r#"{"spec":{"clusterId":"00000000-0000-4000-8000-000000000001"}}"#, "clusterId never changes"),
    (r#"{"spec":{"featureLevel":1}}"#, "featureLevel never falls"),
    (r#"{"spec":{"intent":{"generation":2}}}"#, "never falls"),
    (r#"{"spec":{"intent":null}}"#, "intent stays"),
];

#[test]
fn specs_that_make_no_sense_are_refused_with_what_to_change() {
    let Some((kube, _guard)) = Kube::beside_others() else { return };
    let namespace = kube.namespace();
    for (spec, about) in NEVER {
        let output = kube.apply(&namespace.name, &cluster_object("wrong", spec));
        let said = shown(&output);
        assert!(!output.status.success(), "{spec} was accepted");
        assert!(said.contains(about), "{spec}: {said}");
    }
    let long = "a".repeat(41);
    let output = kube.apply(&namespace.name, &cluster_object(&long, "{release: '1'}"));
    assert!(shown(&output).contains("at most 40 long"), "{}", shown(&output));
}

#[test]
fn changes_that_would_cost_data_are_refused() {
    let Some((kube, _guard)) = Kube::beside_others() else { return };
    let namespace = kube.namespace();
    let spec = "{release: '0.0.0', lifecycle: Stop, featureLevel: 2, intent: {generation: 3}, \
                 clusterId: 00000000-0000-4000-8000-000000000000, pools: [{name: brokers, storage: {size: 2Gi}}]}";
    let cluster = namespace.apply_cluster("orders", spec);
    let patch = |patch: &str| {
        let words =
            ["patch", "kafkacluster", "orders", "--type=merge", "-p", patch, "--namespace", &namespace.name];
        kube.kubectl(&words)
    };
    for (change, about) in NO_MORE {
        let output = patch(change);
        assert!(!output.status.success(), "{change} was accepted");
        assert!(shown(&output).contains(about), "{change}: {}", shown(&output));
    }
    // What only grows may grow.
    let grown = r#"{"spec":{"featureLevel":3,"intent":{"generation":4},"pools":[{"name":"brokers","storage":{"size":"3Gi"}}]}}"#;
    assert!(patch(grown).status.success(), "{}", shown(&patch(grown)));
    assert!(patch(r#"{"spec":{"lifecycle":"Remove"}}"#).status.success());
    let back = patch(r#"{"spec":{"lifecycle":"Run"}}"#);
    assert!(shown(&back).contains("lifecycle stays Remove"), "{}", shown(&back));
    assert_eq!(cluster.object()["spec"]["lifecycle"], "Remove");
}
