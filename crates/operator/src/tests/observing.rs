//! How objects read.

use std::sync::Arc;

use kube::ResourceExt;
use model::observed::{Exit, Process, Readiness};
use model::status::Endpoint;
use model::{BrokerId, Bytes, Observed, Reason, Timestamp};
use serde_json::{Value, json};

use super::fixture::{
    NODE_PORT, NOW, backing_off, broker_service, by_name, ca_secret, node, pod_of, running, valid,
    valid_with, waiting,
};
use crate::build::claim;
use crate::clusters::Sightings;
use crate::observe::{Answers, Fetched, note_reach, observe, unreached};
use crate::reach::Reach;
use crate::valid::Valid;

/// A cluster with one broker whose pod has this status, on a node that reports.
fn fetched(valid: &Valid, status: Value) -> Fetched {
    Fetched {
        pods: vec![Arc::new(pod_of(valid, 0, status))],
        services: vec![Arc::new(broker_service(valid, 0))],
        cluster_ca: Some(Arc::new(ca_secret(valid))),
        remains: true,
        nodes: by_name(vec![node("node1", "True")]),
        ..Fetched::default()
    }
}

fn look(valid: &Valid, fetched: &Fetched) -> Observed {
    observe(NOW, valid, fetched, &Answers::new(), &Sightings::new()).0
}

fn exit(status: Value) -> Exit {
    let valid = valid();
    match look(&valid, &fetched(&valid, status)).brokers.remove(&BrokerId(0)).map(|seen| seen.process) {
        Some(Process::Exited { exit, .. }) => exit,
        other => panic!("{other:?}"),
    }
}

fn readiness(valid: &Valid, fetched: &Fetched) -> Readiness {
    look(valid, fetched).brokers.remove(&BrokerId(0)).expect("the broker was seen").readiness
}

#[test]
fn a_running_broker_is_what_it_says_it_is() {
    let valid = valid();
    let answers = Answers::from([("pod-0".to_owned(), Readiness::Ready)]);
    let (seen, _) = observe(NOW, &valid, &fetched(&valid, running(2)), &answers, &Sightings::new());
    assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
    let broker = &seen.brokers[&BrokerId(0)];
    assert_eq!(broker.readiness, Readiness::Ready);
    let since = Timestamp(NOW.0 + 1_000);
    assert_eq!(broker.process, Process::Running { incarnation: "pod-0/2".to_owned(), since });
    assert_eq!(broker.endpoint, Some(Endpoint { host: "10.201.0.11".to_owned(), port: NODE_PORT }));
    assert_eq!(broker.spec, Some(super::fixture::spec(&valid, 0).fingerprint()));
    assert_eq!(broker.certificate, Some(super::fixture::certificate()));
    assert!(seen.cluster_ca.is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")));
}

#[test]
fn an_answer_counts_only_from_the_pod_that_was_asked() {
    let valid = valid();
    let answers = Answers::from([("pod-of-before".to_owned(), Readiness::Ready)]);
    let (seen, _) = observe(NOW, &valid, &fetched(&valid, running(0)), &answers, &Sightings::new());
    assert_eq!(seen.brokers[&BrokerId(0)].readiness, Readiness::Unknown);
}

#[test]
fn a_node_that_does_not_report_is_a_gap() {
    let valid = valid();
    for (nodes, part) in [
        (vec![node("node1", "Unknown")], "has not reported since 2026-11-24"),
        (vec![node("node2", "True")], "does not exist (any more)"),
    ] {
        let lost = Fetched { nodes: by_name(nodes), ..fetched(&valid, running(0)) };
        let seen = look(&valid, &lost);
        assert_eq!(seen.gaps[0].broker, Some(BrokerId(0)));
        assert!(seen.gaps[0].what.contains(part), "{}", seen.gaps[0].what);
    }
}

#[test]
fn a_watch_that_is_broken_hides_the_whole_cluster() {
    let valid = valid();
    let blind =
        Fetched { trouble: vec!["pods cannot be watched: 403".to_owned()], ..fetched(&valid, running(0)) };
    assert_eq!(look(&valid, &blind).gaps[0].broker, None);
}

#[test]
fn a_pod_that_is_gone_has_ended_and_keeps_its_address() {
    let valid = valid();
    let answers = Answers::from([("pod-0".to_owned(), Readiness::Ready)]);
    let (_, sightings) = observe(NOW, &valid, &fetched(&valid, running(0)), &answers, &Sightings::new());
    let claim = claim::build(&valid, BrokerId(0), "brokers", Bytes::gib(2), None);
    let left = Fetched { pods: Vec::new(), claims: vec![Arc::new(claim)], ..fetched(&valid, running(0)) };
    let later = Timestamp(NOW.0 + 5_000);
    let (seen, sightings) = observe(later, &valid, &left, &answers, &sightings);
    let broker = &seen.brokers[&BrokerId(0)];
    let said = "its pod orders-broker-0 is gone".to_owned();
    let ended =
        Process::Exited { incarnation: "pod-0/0".to_owned(), at: later, exit: Exit::Crashed { said } };
    assert_eq!(broker.process, ended);
    assert_eq!(broker.endpoint.as_ref().map(|endpoint| endpoint.port), Some(NODE_PORT));
    // It does not end anew with every look.
    let (again, _) = observe(Timestamp(later.0 + 5_000), &valid, &left, &answers, &sightings);
    assert_eq!(again.brokers[&BrokerId(0)].process, ended);
    // After a restart of the operator nobody knows that there was one.
    assert_eq!(look(&valid, &left).brokers[&BrokerId(0)].process, Process::Absent);
}

#[test]
fn how_a_process_ended_is_read_from_its_code_and_its_last_words() {
    let refused = "INFO starting\nerror: line 7: unknown setting `num.partition`\n";
    assert_eq!(
        exit(backing_off(1, 2, refused)),
        Exit::BadConfiguration { said: "line 7: unknown setting `num.partition`".to_owned() }
    );
    assert_eq!(
        exit(backing_off(1, 3, "")),
        Exit::LostDisk { said: "it did not say why; see its log".to_owned() }
    );
    assert_eq!(exit(backing_off(1, 0, "")), Exit::Clean);
    assert_eq!(exit(backing_off(1, 137, "")), Exit::Crashed { said: "killed by signal 9".to_owned() });
    let mut oom = backing_off(1, 137, "");
    oom["containerStatuses"][0]["lastState"]["terminated"]["reason"] = json!("OOMKilled");
    assert_eq!(exit(oom), Exit::Crashed { said: "killed by signal 9, OOMKilled".to_owned() });
    let evicted =
        json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory." });
    assert_eq!(
        exit(evicted),
        Exit::Crashed { said: "its pod ended: Evicted, The node was low on resource: memory.".to_owned() }
    );
}

#[test]
fn what_keeps_a_pod_from_running_is_named() {
    let valid = valid();
    let held = |status: Value| readiness(&valid, &fetched(&valid, status));
    let Readiness::Held { reason, why } = held(waiting("ImagePullBackOff")) else { panic!() };
    assert_eq!(reason, Reason::ReleaseMissing);
    assert!(why.contains("penstock/broker:1.0.0 cannot be had (ImagePullBackOff)"), "{why}");
    let Readiness::Held { reason, .. } = held(waiting("CreateContainerConfigError")) else { panic!() };
    assert_eq!(reason, Reason::BadConfiguration);
    let creating = held(waiting("ContainerCreating"));
    assert_eq!(creating, Readiness::NotReady { why: "its container is being made".to_owned() });
}

#[test]
fn a_storage_class_that_does_not_exist_is_named() {
    let valid = valid_with(&json!({
        "pools": [{ "name": "brokers", "replicas": 1, "storage": { "size": "2Gi", "class": "fats" } }],
    }));
    let pending = json!({
        "phase": "Pending",
        "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        }],
    });
    let claim = claim::build(&valid, BrokerId(0), "brokers", Bytes::gib(2), None);
    let classes = vec!["local".to_owned()];
    let missing = Fetched { claims: vec![Arc::new(claim)], classes, ..fetched(&valid, pending) };
    let Readiness::Held { reason, why } = readiness(&valid, &missing) else { panic!() };
    assert_eq!(reason, Reason::Unschedulable);
    assert!(why.starts_with("its storage class fats does not exist"), "{why}");
    let there = Fetched { classes: vec!["fats".to_owned()], ..missing };
    let Readiness::Held { why, .. } = readiness(&valid, &there) else { panic!() };
    assert!(why.starts_with("no node can take it: 0/3 nodes"), "{why}");
}

#[test]
fn what_waits_for_an_image_that_nobody_wants_any_more_is_made_anew() {
    let valid = valid();
    let fingerprint = super::fixture::spec(&valid, 0).fingerprint();
    let made_from = |status: Value, image: &str| {
        let fetched = Fetched { image: Some(image.to_owned()), ..fetched(&valid, status) };
        look(&valid, &fetched).brokers[&BrokerId(0)].spec.clone()
    };
    assert_eq!(made_from(waiting("ImagePullBackOff"), "penstock/broker:1.0.0"), Some(fingerprint.clone()));
    assert_ne!(made_from(waiting("ImagePullBackOff"), "penstock/broker:mended"), Some(fingerprint.clone()));
    // What runs goes on, whatever we would take for a new one.
    assert_eq!(made_from(running(0), "penstock/broker:mended"), Some(fingerprint));
}

#[test]
fn an_address_is_tried_once_for_each_start() {
    let valid = valid();
    let answers = Answers::from([("pod-0".to_owned(), Readiness::Ready)]);
    let (seen, mut sightings) =
        observe(NOW, &valid, &fetched(&valid, running(0)), &answers, &Sightings::new());
    let address = Endpoint { host: "10.201.0.11".to_owned(), port: NODE_PORT };
    assert_eq!(unreached(&seen, &sightings), [(BrokerId(0), address)]);
    for (reach, refused) in [(Reach::Refused, true), (Reach::Unanswered, false)] {
        let (mut seen, _) = observe(NOW, &valid, &fetched(&valid, running(0)), &answers, &Sightings::new());
        note_reach(&mut seen, &mut sightings, &[(BrokerId(0), reach)]);
        assert_eq!(seen.brokers[&BrokerId(0)].readiness, Readiness::Unreached { refused });
    }
    let mut led = seen.clone();
    note_reach(&mut led, &mut sightings, &[(BrokerId(0), Reach::Led)]);
    assert_eq!(led, seen);
    let (seen, sightings) = observe(NOW, &valid, &fetched(&valid, running(0)), &answers, &sightings);
    assert!(unreached(&seen, &sightings).is_empty());
    let (seen, sightings) = observe(NOW, &valid, &fetched(&valid, running(1)), &answers, &sightings);
    assert_eq!(unreached(&seen, &sightings).len(), 1, "it was started again");
}

#[test]
fn two_pods_of_one_broker_are_a_doubt_and_a_pod_without_an_id_is_one_about_all() {
    let valid = valid();
    let mut twins = fetched(&valid, running(0));
    let mut twin = pod_of(&valid, 0, running(0));
    twin.metadata.name = Some("made-by-hand".to_owned());
    twins.pods.push(Arc::new(twin));
    assert_eq!(look(&valid, &twins).gaps[0].broker, Some(BrokerId(0)));
    let mut nameless = fetched(&valid, running(0));
    let mut pod = pod_of(&valid, 0, running(0));
    pod.labels_mut().remove(crd::labels::NODE_ID);
    nameless.pods.push(Arc::new(pod));
    assert_eq!(look(&valid, &nameless).gaps[0].broker, None);
}

#[test]
fn other_resources_or_another_authority_make_a_pod_outdated() {
    let before = valid();
    let pod = fetched(&before, running(0));
    let fingerprint = super::fixture::spec(&before, 0).fingerprint();
    let made_from =
        |valid: &Valid, fetched: &Fetched| look(valid, fetched).brokers[&BrokerId(0)].spec.clone();
    assert_eq!(made_from(&before, &pod), Some(fingerprint.clone()));
    let larger = valid_with(&json!({
        "pools": [{ "name": "brokers", "replicas": 1, "storage": { "size": "2Gi" }, "resources": { "limits": { "memory": "1Gi" } } }],
    }));
    assert_ne!(made_from(&larger, &pod), Some(fingerprint.clone()));
    // In doubt nobody is restarted.
    let unknown = Fetched { cluster_ca: None, ..pod };
    assert_eq!(made_from(&before, &unknown), Some(fingerprint));
}
