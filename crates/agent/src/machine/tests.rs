//! What the machine remembers. Courses of events are played in `sim`.

use std::collections::BTreeMap;
use std::time::Duration;

use model::action::RestartReason;
use model::certificate::Validity;
use model::condition::Truth;
use model::intent::{Listener, Pool, RolloutPolicy, Security};
use model::observed::{BrokerSeen, Process, Readiness};
use model::version::{FeatureLevel, Release};
use model::{Action, BrokerId, ClusterId, ClusterIntent, Generation, Lifecycle, Observed, Reason, Timestamp};
use uuid::Uuid;

use super::Machine;
use crate::substrate::{Performed, SubstrateError};

fn intent() -> ClusterIntent {
    ClusterIntent {
        cluster: ClusterId(Uuid::nil()),
        generation: Generation::FIRST,
        parent: None,
        name: "orders".to_owned(),
        release: Release("1".to_owned()),
        feature_level: FeatureLevel(1),
        pools: vec![Pool {
            name: "brokers".to_owned(),
            brokers: vec![BrokerId(0)],
            storage: model::size::Bytes::gib(1),
        }],
        listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
        client_cas: Vec::new(),
        config: BTreeMap::new(),
        rollout: RolloutPolicy::default(),
        lifecycle: Lifecycle::Run,
    }
}

fn nothing(at: Timestamp) -> Observed {
    Observed { at, brokers: BTreeMap::new(), cluster_ca: None, remains: false, gaps: Vec::new() }
}

fn seconds(count: i64) -> Timestamp {
    Timestamp(1_000_000 + count * 1_000)
}

#[test]
fn an_action_is_handed_out_once_until_its_time_is_over() {
    let mut machine = Machine::new();
    let mut started_at = Vec::new();
    for second in 0..80 {
        let now = seconds(second);
        if !machine.step(now, &intent(), &nothing(now)).actions.is_empty() {
            started_at.push(second);
        }
    }
    assert_eq!(started_at, [0, 35, 70]);
}

#[test]
fn an_action_whose_news_came_is_tried_again_when_its_effect_does_not_show() {
    let mut machine = Machine::new();
    let action = machine.step(seconds(0), &intent(), &nothing(seconds(0))).actions.remove(0);
    machine.finished(seconds(1), &action, &Ok(Performed::Done));
    // A look from before the news proves nothing, however late it is considered.
    assert!(machine.step(seconds(20), &intent(), &nothing(seconds(0))).actions.is_empty());
    assert_eq!(machine.step(seconds(21), &intent(), &nothing(seconds(21))).actions, [action]);
}

#[test]
fn failures_are_spaced_out_and_named_until_a_try_succeeds() {
    let mut machine = Machine::new();
    let mut now = seconds(0);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let decision = machine.step(now, &intent(), &nothing(now));
        let error = SubstrateError::Blocked {
            reason: Reason::ReleaseMissing,
            message: "release 1 is not installed".to_owned(),
        };
        machine.finished(now, &decision.actions[0], &Err(error));
        let held = machine.step(now, &intent(), &nothing(now));
        assert!(held.actions.is_empty());
        assert_eq!(held.report.waiting[0].reason, Reason::ReleaseMissing);
        let next = now.plus(Duration::from_secs(pauses.last().map_or(5, |pause| pause * 2)));
        pauses.push(next.since(now).as_secs());
        assert!(machine.step(Timestamp(next.0 - 1), &intent(), &nothing(next)).actions.is_empty());
        now = next;
    }
    assert_eq!(pauses, [5, 10, 20, 40]);

    // Another release is tried at once.
    let other = ClusterIntent { release: Release("2".to_owned()), generation: Generation(2), ..intent() };
    let before = Timestamp(now.0 - 1);
    assert_eq!(machine.step(before, &other, &nothing(now)).actions.len(), 1);
}

#[test]
fn a_clock_that_is_set_back_by_a_day_stops_nothing() {
    let mut machine = Machine::new();
    let now = seconds(100_000);
    assert_eq!(machine.step(now, &intent(), &nothing(now)).actions.len(), 1);
    let set_back = seconds(0);
    assert!(
        machine.step(set_back, &intent(), &nothing(set_back)).actions.is_empty(),
        "it is still under way"
    );
    let later = seconds(40);
    assert_eq!(machine.step(later, &intent(), &nothing(later)).actions.len(), 1);
}

#[test]
fn since_stays_while_a_condition_does() {
    let mut machine = Machine::new();
    let first = machine.step(seconds(0), &intent(), &nothing(seconds(0))).report;
    let later = machine.step(seconds(9), &intent(), &nothing(seconds(9))).report;
    assert_eq!(later.at, seconds(9));
    assert_eq!(later.conditions, first.conditions);
    assert_eq!(later.waiting, first.waiting);
}

/// Broker 0, which says that it serves, and whose address has not led to it since it was started at that second.
fn unreached(at: Timestamp, started: i64, readiness: Readiness) -> Observed {
    let process = Process::Running { incarnation: format!("0#{started}"), since: seconds(started) };
    let seen = BrokerSeen { process, readiness, spec: None, endpoint: None, certificate: None };
    Observed { brokers: BTreeMap::from([(BrokerId(0), seen)]), ..nothing(at) }
}

#[test]
fn an_address_is_waited_for_from_the_first_try_and_anew_after_each_start() {
    let closed = Readiness::Unreached { refused: true };
    let mut machine = Machine::new();
    let mut is_ready = |second: i64, started: i64, readiness: &Readiness| {
        let now = seconds(second);
        let report = machine.step(now, &intent(), &unreached(now, started, readiness.clone())).report;
        report.brokers[0].ready == Truth::True
    };
    let starting = Readiness::NotReady { why: "it says that it is starting".to_owned() };
    assert!(!is_ready(0, 0, &starting));
    // What came before the first try does not count.
    assert!(!is_ready(100, 0, &closed));
    assert!(!is_ready(114, 0, &closed));
    assert!(is_ready(115, 0, &closed));
    assert!(!is_ready(120, 120, &closed));
    assert!(is_ready(121, 120, &Readiness::Ready));
}

#[test]
fn an_agent_that_begins_does_not_call_down_who_was_waited_for_before() {
    let closed = Readiness::Unreached { refused: false };
    let now = seconds(100);
    let report = Machine::new().step(now, &intent(), &unreached(now, 0, closed)).report;
    assert_eq!(report.brokers[0].ready, Truth::True);
}

/// Three brokers that serve with certificates of 825 days, looked at every six hours through ten years.
#[test]
fn no_certificate_ends_in_ten_years_and_never_are_two_brokers_restarted_at_once() {
    const HOUR_MS: i64 = 3_600_000;
    const VALID_MS: i64 = 825 * 24 * HOUR_MS;
    let mut intent = intent();
    intent.pools[0].brokers = (0..3).map(BrokerId).collect();
    let pool = &intent.pools[0];
    let spec = |id| planner::spec::of(&intent, id, pool).fingerprint();
    let mut machine = Machine::new();
    let mut started: BTreeMap<BrokerId, i64> = (0..3).map(|id| (BrokerId(id), 0)).collect();
    let mut restarts = Vec::new();
    for look in 0..10 * 365 * 4 {
        let now = Timestamp(look * 6 * HOUR_MS);
        let brokers = started.iter().map(|(id, at)| {
            let process = Process::Running { incarnation: format!("{id}@{at}"), since: Timestamp(*at) };
            let certificate = Some(Validity { from: Timestamp(*at), until: Timestamp(at + VALID_MS) });
            assert!(now.0 < at + VALID_MS, "broker {id} serves with a certificate that has ended");
            (
                *id,
                BrokerSeen {
                    process,
                    readiness: Readiness::Ready,
                    spec: Some(spec(*id)),
                    endpoint: None,
                    certificate,
                },
            )
        });
        let seen = Observed { brokers: brokers.collect(), ..nothing(now) };
        for action in machine.step(now, &intent, &seen).actions {
            let Action::Restart { spec, why, .. } = &action else { panic!("{action:?}") };
            assert_eq!(*why, [RestartReason::CertificateEnds]);
            machine.finished(now, &action, &Ok(Performed::Done));
            started.insert(spec.broker, now.0);
            restarts.push((now, spec.broker));
        }
    }
    // Six times each: ten years are six times two thirds of the certificates' life, and a bit.
    let of = |id| restarts.iter().filter(|(_, broker)| *broker == BrokerId(id)).count();
    assert_eq!([of(0), of(1), of(2)], [6, 6, 6]);
    assert!(restarts.windows(2).all(|pair| pair[0].0 < pair[1].0), "one at a time");
}
