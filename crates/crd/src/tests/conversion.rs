use std::collections::BTreeMap;

use model::condition::{self, Kind};
use model::intent::{Listener, Pool, RolloutPolicy, Security};
use model::status::{BrokerStatus, Endpoint, Waiting};
use model::{
    BrokerId, Bytes, ClusterId, ClusterIntent, ClusterStatus, FeatureLevel, Generation, Lifecycle, Reason,
    Release, Timestamp,
};
use serde_json::json;
use uuid::Uuid;

use crate::intent::{self, Placement};
use crate::spec::{Amount, KafkaCluster, Resources};
use crate::state;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";

fn published() -> ClusterIntent {
    ClusterIntent {
        cluster: ClusterId(Uuid::from_u128(7)),
        generation: Generation(3),
        parent: Some(Generation(2)),
        name: "orders".to_owned(),
        release: Release("1.0.0".to_owned()),
        feature_level: FeatureLevel(2),
        pools: vec![
            Pool {
                name: "small".to_owned(),
                brokers: vec![BrokerId(0), BrokerId(5)],
                storage: Bytes::gib(4),
            },
            Pool { name: "large".to_owned(), brokers: vec![BrokerId(9)], storage: Bytes(1_500_000) },
        ],
        listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
        client_cas: vec![PEM.to_owned()],
        config: BTreeMap::from([("num.partitions".to_owned(), "8".to_owned())]),
        rollout: RolloutPolicy::default(),
        lifecycle: Lifecycle::Run,
    }
}

fn said() -> ClusterStatus {
    ClusterStatus {
        cluster: published().cluster,
        observed_generation: Generation(3),
        at: Timestamp(1_795_500_563_123),
        conditions: vec![condition::Condition {
            kind: Kind::Ready,
            status: condition::Truth::Unknown,
            reason: Reason::Unreachable,
            message: "broker 0 could not be seen".to_owned(),
            since: Timestamp(1_795_500_000_000),
        }],
        brokers: vec![BrokerStatus {
            id: BrokerId(0),
            ready: condition::Truth::True,
            reason: Reason::AllBrokersReady,
            message: "broker 0 is ready".to_owned(),
            endpoint: Some(Endpoint { host: "10.201.0.11".to_owned(), port: 31_092 }),
            restarts: 4,
        }],
        waiting: vec![Waiting {
            broker: None,
            reason: Reason::Paused,
            message: "cluster orders is paused".to_owned(),
            since: Timestamp(5),
        }],
        cluster_ca: Some(PEM.to_owned()),
        removed: false,
    }
}

/// An object as the API server returns it, after defaulting.
fn object(spec: serde_json::Value) -> KafkaCluster {
    serde_json::from_value(json!({
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "KafkaCluster",
        "metadata": {
            "name": "orders", "namespace": "shop", "generation": 6,
            "uid": "00000000-0000-0000-0000-000000000007",
        },
        "spec": spec,
    }))
    .unwrap()
}

#[test]
fn an_intent_survives_the_way_through_an_object() {
    for lifecycle in [Lifecycle::Run, Lifecycle::Pause, Lifecycle::Stop, Lifecycle::Remove] {
        let sent = ClusterIntent { lifecycle, ..published() };
        let placement = Placement {
            storage_class: Some("fast".to_owned()),
            resources: Some(Resources {
                requests: BTreeMap::from([("cpu".to_owned(), Amount("100m".to_owned()))]),
                limits: BTreeMap::new(),
            }),
        };
        let object = intent::object(&sent, &placement);
        let stored = serde_json::to_value(&object).unwrap();
        let read: KafkaCluster = serde_json::from_value(stored).unwrap();
        assert_eq!(intent::of(&read, Some("another authority")).unwrap(), sent);
        assert_eq!(read.spec.pools[1].storage.class.as_deref(), Some("fast"));
    }
}

#[test]
fn a_person_writes_one_line() {
    let object = object(json!({ "release": "1.0.0" }));
    let intent = intent::of(&object, Some(PEM)).unwrap();
    assert_eq!(intent.cluster, ClusterId(Uuid::from_u128(7)), "the object's uid");
    assert_eq!(intent.generation, Generation(6), "the object's generation");
    assert_eq!(
        intent.brokers().map(|(id, pool)| (id, pool.storage)).collect::<Vec<_>>(),
        [(BrokerId(0), Bytes::gib(1))]
    );
    assert_eq!(intent.client_cas, [PEM]);
    assert_eq!(intent.lifecycle, Lifecycle::Run);
    assert_eq!(intent.listeners.len(), 1);
}

#[test]
fn replicas_are_counted_from_nought() {
    let object = object(json!({ "release": "1.0.0", "pools": [{ "name": "brokers", "replicas": 3 }] }));
    let intent = intent::of(&object, None).unwrap();
    assert_eq!(intent.brokers().map(|(id, _)| id.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(intent.client_cas.is_empty());
}

#[test]
fn what_rules_cannot_say_is_said_here_all_at_once() {
    let object = object(json!({
        "release": "1.0.0",
        "pools": [
            { "name": "a", "brokers": [0, 1] },
            { "name": "b", "brokers": [1], "storage": { "size": "99999999999Pi" } },
        ],
        "config": { "num.partitions\nlog.dirs": "8" },
        "clientCas": ["not a certificate"],
    }));
    let refused = intent::of(&object, None).unwrap_err();
    assert_eq!(refused.problems.len(), 4, "{refused}");
    for part in ["node id 1 is in two pools", "99999999999Pi", "num.partitions\\nlog.dirs", "clientCas"] {
        assert!(refused.to_string().contains(part), "{part}: {refused}");
    }
}

#[test]
fn a_status_survives_the_way_through_an_object() {
    let mut object = intent::object(&published(), &Placement::default());
    object.metadata.generation = Some(11);
    assert_eq!(state::read(&object), Ok(None));
    object.status = Some(state::of(&said(), &object));
    let stored = serde_json::to_value(&object).unwrap();
    let read: KafkaCluster = serde_json::from_value(stored).unwrap();
    assert_eq!(state::read(&read), Ok(Some(said())));
    let status = read.status.unwrap();
    assert_eq!(status.observed_generation, Some(11));
    assert_eq!(status.conditions[0].observed_generation, Some(11));
    assert_eq!(status.ready_brokers.as_deref(), Some("1/1"));
    assert_eq!(status.bootstrap.as_deref(), Some("10.201.0.11:31092"));
}

#[test]
fn a_status_of_an_older_intent_does_not_claim_the_newest_generation() {
    let mut object =
        intent::object(&ClusterIntent { generation: Generation(4), ..published() }, &Placement::default());
    object.metadata.generation = Some(12);
    let status = state::of(&said(), &object);
    assert_eq!((status.observed_generation, status.intent_generation), (None, Some(3)));
}

#[test]
fn a_status_edited_by_hand_is_named_and_foreign_conditions_are_passed_over() {
    let mut object = intent::object(&published(), &Placement::default());
    let mut status = state::of(&said(), &object);
    status.conditions.push(crate::status::Condition {
        kind: "Audited".to_owned(),
        status: crate::status::Truth::True,
        reason: "ByUs".to_owned(),
        message: String::new(),
        last_transition_time: "never".to_owned(),
        observed_generation: None,
    });
    object.status = Some(status.clone());
    assert_eq!(state::read(&object), Ok(Some(said())));
    status.conditions[0].reason = "BecauseISaySo".to_owned();
    object.status = Some(status);
    let unreadable = state::read(&object).unwrap_err();
    assert_eq!(
        unreadable.to_string(),
        r#"the status of KafkaCluster orders cannot be understood: reason "BecauseISaySo""#
    );
}
