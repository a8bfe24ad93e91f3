//! What is said about a cluster.

use crd::status::{KafkaClusterStatus, Truth};
use model::condition::{self, Condition, Kind};
use model::status::{BrokerStatus, Endpoint};
use model::{BrokerId, ClusterStatus, Generation, Reason, Timestamp};

use super::fixture::{NOW, object, valid};
use crate::error::Error;
use crate::status::{News, compose, news};

fn said(ready: condition::Truth, reason: Reason) -> ClusterStatus {
    let condition = |kind, status, reason: Reason| Condition {
        kind,
        status,
        reason,
        message: reason.meaning().to_owned(),
        since: NOW,
    };
    ClusterStatus {
        cluster: valid().id(),
        observed_generation: Generation(1),
        at: NOW,
        conditions: vec![
            condition(Kind::Ready, ready, reason),
            condition(Kind::Progressing, condition::Truth::False, reason),
            condition(Kind::Degraded, condition::Truth::False, Reason::AllBrokersReady),
        ],
        brokers: vec![BrokerStatus {
            id: BrokerId(0),
            ready,
            reason,
            message: reason.meaning().to_owned(),
            endpoint: Some(Endpoint { host: "10.201.0.11".to_owned(), port: 31_092 }),
            restarts: 0,
        }],
        waiting: Vec::new(),
        cluster_ca: None,
        removed: false,
    }
}

fn ready() -> ClusterStatus {
    said(condition::Truth::True, Reason::AllBrokersReady)
}

fn shown(status: &KafkaClusterStatus) -> Vec<String> {
    let line =
        |it: &crd::status::Condition| format!("{} {:?} {}: {}", it.kind, it.status, it.reason, it.message);
    status.conditions.iter().map(line).collect()
}

fn spec_error() -> Error {
    Error::Spec(crd::intent::Invalid { problems: vec!["node id 1 is in two pools".to_owned()] })
}

#[test]
fn what_the_agent_says_is_passed_on_and_the_clients_secret_is_named() {
    let status = compose(&object(), Some(&ready()), None, true, NOW);
    assert_eq!(status.client_secret.as_deref(), Some("orders-client"));
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.conditions[0].status, Truth::True);
    assert_eq!(compose(&object(), Some(&ready()), None, false, NOW).client_secret, None);
}

#[test]
fn an_object_that_cannot_be_followed_says_so_before_anything_runs() {
    let status = compose(&object(), None, Some(&spec_error()), true, NOW);
    let sentence = "BadConfiguration: the spec cannot be followed: node id 1 is in two pools";
    assert_eq!(
        shown(&status),
        [
            format!("Ready Unknown {sentence}"),
            format!("Progressing False {sentence}"),
            format!("Degraded Unknown {sentence}")
        ]
    );
}

#[test]
fn brokers_that_run_stay_ready_while_a_new_spec_cannot_be_followed() {
    let status = compose(&object(), Some(&ready()), Some(&spec_error()), true, NOW);
    assert_eq!(status.conditions[0].status, Truth::True, "{:?}", shown(&status));
    assert_eq!(
        shown(&status)[1],
        "Progressing False BadConfiguration: the spec cannot be followed: node id 1 is in two pools"
    );
}

#[test]
fn what_passes_by_itself_does_not_trouble_a_status() {
    let error = Error::Waiting("Secret orders-client was made by somebody else a moment ago".to_owned());
    let status = compose(&object(), Some(&ready()), Some(&error), true, NOW);
    assert_eq!(status, compose(&object(), Some(&ready()), None, true, NOW));
}

#[test]
fn the_time_of_a_condition_outlives_a_restart_of_the_operator_but_not_nonsense() {
    let mut before = object();
    before.status = Some(compose(&object(), Some(&ready()), None, true, NOW));
    let mut later = ready();
    for condition in &mut later.conditions {
        condition.since = Timestamp(NOW.0 + 60_000);
    }
    let status = compose(&before, Some(&later), None, true, NOW);
    assert_eq!(status.conditions[0].last_transition_time, NOW.rfc3339());
    if let Some(status) = &mut before.status {
        status.conditions[0].last_transition_time = "yesterday".to_owned();
    }
    let status = compose(&before, Some(&later), None, true, NOW);
    assert_eq!(status.conditions[0].last_transition_time, Timestamp(NOW.0 + 60_000).rfc3339());
}

#[test]
fn an_event_is_told_once_for_each_change_of_reason() {
    let starting =
        compose(&object(), Some(&said(condition::Truth::False, Reason::BrokerStarting)), None, true, NOW);
    let running = compose(&object(), Some(&ready()), None, true, NOW);
    let told = |reason: &str, message: &str, is_warning| News {
        is_warning,
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    assert_eq!(news(None, &running), [told("AllBrokersReady", "all brokers are ready", false)]);
    assert_eq!(news(Some(&starting), &running), [told("AllBrokersReady", "all brokers are ready", false)]);
    assert_eq!(news(Some(&running), &running), []);
    let crashed = said(condition::Truth::False, Reason::BadConfiguration);
    let crashed = compose(&object(), Some(&crashed), None, true, NOW);
    let sentence = Reason::BadConfiguration.meaning();
    assert_eq!(news(Some(&running), &crashed), [told("BadConfiguration", sentence, true)]);
}
