//! What follows from a status.

use expect_test::{Expect, expect};
use model::condition::{Condition, Kind as ConditionKind, Truth};
use model::operation::{Kind, Operation, State as OperationState, Step};
use model::resource::State;
use model::status::Waiting;
use model::{ClusterId, ClusterStatus, Generation, OperationId, Reason, ResourceId, Timestamp};
use uuid::Uuid;

use crate::judge::{self, Facts};

const NOW: Timestamp = Timestamp(100_000);

/// A status of a generation in which `Ready` is so since then.
fn status(generation: i64, ready: Truth, reason: Reason, since: i64) -> ClusterStatus {
    let condition = |kind, status, reason| Condition {
        kind,
        status,
        reason,
        message: format!("{reason:?} it is"),
        since: Timestamp(since),
    };
    ClusterStatus {
        cluster: ClusterId(Uuid::nil()),
        observed_generation: Generation(generation),
        at: NOW,
        conditions: vec![
            condition(ConditionKind::Ready, ready, reason),
            condition(ConditionKind::Progressing, Truth::False, reason),
        ],
        brokers: vec![],
        waiting: vec![],
        cluster_ca: None,
        removed: reason == Reason::Removed,
    }
}

fn facts(generation: i64, published: i64, status: Option<&ClusterStatus>) -> Facts<'_> {
    let published = (published > 0).then_some(Generation(published));
    Facts { generation: Generation(generation), published, status, now: NOW }
}

fn resource(current: State, generation: i64, status: Option<&ClusterStatus>, expected: &Expect) {
    let (state, message) = judge::resource((current, "as before"), &facts(generation, generation, status));
    expected.assert_eq(&format!("{state:?}: {message}"));
}

#[test]
fn a_new_resource_is_ready_when_its_brokers_are() {
    resource(State::Provisioning, 1, None, &expect!["Provisioning: as before"]);
    let starting = status(1, Truth::False, Reason::BrokerStarting, 99_000);
    resource(State::Provisioning, 1, Some(&starting), &expect!["Provisioning: BrokerStarting it is"]);
    let ready = status(1, Truth::True, Reason::AllBrokersReady, 99_000);
    resource(State::Provisioning, 1, Some(&ready), &expect!["Ready: AllBrokersReady it is"]);
    resource(State::Failed, 1, Some(&ready), &expect!["Ready: AllBrokersReady it is"]);
}

#[test]
fn what_needs_a_person_fails_only_after_a_while() {
    let fresh = status(1, Truth::False, Reason::ReleaseMissing, 95_000);
    resource(State::Provisioning, 1, Some(&fresh), &expect!["Provisioning: ReleaseMissing it is"]);
    let old = status(1, Truth::False, Reason::ReleaseMissing, 80_000);
    resource(State::Provisioning, 1, Some(&old), &expect!["Failed: ReleaseMissing it is"]);
    let crashing = status(1, Truth::False, Reason::CrashLoop, 0);
    resource(State::Provisioning, 1, Some(&crashing), &expect!["Provisioning: CrashLoop it is"]);
}

#[test]
fn a_ready_resource_degrades_and_is_not_taken_for_broken_when_nothing_is_seen() {
    let down = status(1, Truth::False, Reason::BrokerDown, 99_000);
    resource(State::Ready, 1, Some(&down), &expect!["Degraded: BrokerDown it is"]);
    let unseen = status(1, Truth::Unknown, Reason::Unreachable, 99_000);
    resource(State::Ready, 1, Some(&unseen), &expect!["Ready: as before"]);
}

#[test]
fn only_the_removal_that_was_asked_for_makes_it_gone() {
    let ready = status(1, Truth::True, Reason::AllBrokersReady, 0);
    resource(State::Deprovisioning, 2, Some(&ready), &expect!["Deprovisioning: as before"]);
    let removing = status(2, Truth::False, Reason::Removing, 0);
    resource(State::Deprovisioning, 2, Some(&removing), &expect!["Deprovisioning: Removing it is"]);
    let removed = status(2, Truth::False, Reason::Removed, 0);
    resource(State::Deprovisioning, 2, Some(&removed), &expect!["Gone: everything of it is gone"]);
    resource(State::Gone, 2, Some(&ready), &expect!["Gone: as before"]);
}

fn operation(kind: Kind, generation: i64) -> Operation {
    let step = |name: &str| Step {
        name: name.to_owned(),
        state: OperationState::Pending,
        message: format!("to {name}"),
        started_at: None,
        finished_at: None,
    };
    Operation {
        id: OperationId(Uuid::nil()),
        kind,
        resource: ResourceId(Uuid::nil()),
        resource_name: "orders".to_owned(),
        cluster: ClusterId(Uuid::nil()),
        generation: Generation(generation),
        state: OperationState::Pending,
        steps: vec![step("publish"), step("work")],
        waiting: vec![],
        failure: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        finished_at: None,
    }
}

fn advanced(kind: Kind, generation: i64, facts: &Facts<'_>, expected: &Expect) -> Operation {
    let next = judge::operation(&operation(kind, generation), facts);
    let steps: Vec<String> =
        next.steps.iter().map(|step| format!("{} {:?} ({})", step.name, step.state, step.message)).collect();
    let failure = next.failure.as_ref().map(|failure| format!(", failed: {}", failure.reason));
    expected.assert_eq(&format!("{:?}: {}{}", next.state, steps.join(", "), failure.unwrap_or_default()));
    // Looking again at the same facts changes nothing.
    assert_eq!(judge::operation(&next, facts), next);
    next
}

#[test]
fn an_operation_goes_through_its_steps() {
    let unpublished = facts(1, 0, None);
    let pending = expect!["Pending: publish Pending (to publish), work Pending (to work)"];
    advanced(Kind::Provision, 1, &unpublished, &pending);
    let running = expect!["Running: publish Succeeded (to publish), work Running (to work)"];
    advanced(Kind::Provision, 1, &facts(1, 1, None), &running);

    let mut starting = status(1, Truth::False, Reason::BrokerStarting, 99_000);
    starting.waiting.push(Waiting {
        broker: None,
        reason: Reason::BrokerStarting,
        message: "broker 0 starts".to_owned(),
        since: NOW,
    });
    let waiting = expect!["Running: publish Succeeded (to publish), work Running (broker 0 starts)"];
    let next = advanced(Kind::Provision, 1, &facts(1, 1, Some(&starting)), &waiting);
    assert_eq!(next.waiting.len(), 1);

    let ready = status(1, Truth::True, Reason::AllBrokersReady, 99_000);
    let done = expect!["Succeeded: publish Succeeded (to publish), work Succeeded (AllBrokersReady it is)"];
    let next = advanced(Kind::Provision, 1, &facts(1, 1, Some(&ready)), &done);
    assert_eq!(next.finished_at, Some(NOW));
}

#[test]
fn a_change_is_not_reached_by_the_status_of_the_generation_before() {
    let before = status(1, Truth::True, Reason::AllBrokersReady, 99_000);
    let running = expect!["Running: publish Succeeded (to publish), work Running (to work)"];
    advanced(Kind::Change, 2, &facts(2, 2, Some(&before)), &running);
    let after = status(2, Truth::True, Reason::AllBrokersReady, 99_000);
    let done = expect!["Succeeded: publish Succeeded (to publish), work Succeeded (AllBrokersReady it is)"];
    advanced(Kind::Change, 2, &facts(2, 2, Some(&after)), &done);
}

#[test]
fn an_operation_that_needs_a_person_fails_with_the_reason() {
    let stuck = status(1, Truth::False, Reason::BadConfiguration, 0);
    let failed = expect![
        "Failed: publish Succeeded (to publish), work Failed (BadConfiguration it is), failed: BadConfiguration"
    ];
    advanced(Kind::Provision, 1, &facts(1, 1, Some(&stuck)), &failed);
}

#[test]
fn a_removal_succeeds_when_nothing_is_left() {
    let removed = status(2, Truth::False, Reason::Removed, 0);
    let done = expect!["Succeeded: publish Succeeded (to publish), work Succeeded (Removed it is)"];
    advanced(Kind::Deprovision, 2, &facts(2, 2, Some(&removed)), &done);
}
