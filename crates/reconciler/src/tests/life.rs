//! The life of a resource from its acceptance to its being gone.

use std::time::Duration;

use agent::clock::System;
use control::{CredentialState, Page, Problem};
use model::operation::State as OperationState;
use model::resource::State;
use model::{Reason, Timestamp};

use super::{Running, World, eventually};

#[tokio::test]
async fn a_resource_becomes_ready_and_in_the_end_is_gone() {
    let quiet = testkit::quiet();
    // Stopping may cut a begin or a commit off; what the driver then sends meets the other state.
    quiet.allow("transaction in progress");
    let world = World::new().await;
    let running = Running::start(world.reconciler());
    let accepted = world.accept("orders").await;
    let ready = world.until("orders", State::Ready).await;
    assert_eq!(ready.kafka_url().as_deref(), Some("kafka+ssl://127.0.0.1:19096"));
    assert_eq!(ready.operation, None);
    let operation = world.control.operation(&world.caller, accepted.operation.id).await.unwrap();
    assert_eq!(operation.state, OperationState::Succeeded);
    assert!(operation.steps.iter().all(|step| step.state == OperationState::Succeeded));
    assert!(operation.finished_at.is_some());

    let removal = world.destroy("orders").await;
    let operation = eventually("the removal", async || {
        let operation = world.control.operation(&world.caller, removal.operation.id).await.unwrap();
        operation.state.is_final().then_some(operation)
    })
    .await;
    assert_eq!(operation.state, OperationState::Succeeded);
    let gone = world.control.resource(&world.caller, &ready.id.into()).await;
    assert!(matches!(gone, Err(Problem::Gone { .. })));
    eventually("the withdrawal", async || world.agents.followed().is_empty().then_some(())).await;
    assert_eq!(world.agents.withdrawn(), [ready.cluster]);

    let mut tx = world.store.begin().await.unwrap();
    let credentials = store::credential::of_resource(&mut tx, ready.id).await.unwrap();
    assert!(credentials.iter().all(|each| each.revoked_at.is_some() && each.sealed_key.is_empty()));
    let history = store::observation::history(&mut tx, ready.cluster, 10).await.unwrap();
    assert_eq!(history.len(), 2, "{history:?}");
    drop(tx);
    // What was done stays on record.
    assert_eq!(world.control.audit(&world.caller, Page::default()).await.unwrap().items.len(), 3);
    running.stop().await;
    drop(quiet);
}

#[tokio::test]
async fn a_revocation_is_an_operation_that_ends() {
    let world = World::new().await;
    let running = Running::start(world.reconciler());
    world.accept("orders").await;
    world.until("orders", State::Ready).await;
    let reference = "orders".into();
    let default = world.control.credentials(&world.caller, &reference).await.unwrap().remove(0);
    let revoked = world.control.revoke_credential(&world.caller, &reference, default.id).await.unwrap();
    assert_eq!(revoked.state, CredentialState::Revoked);
    eventually("the change", async || {
        let resource = world.control.resource(&world.caller, &reference).await.unwrap();
        (resource.operation.is_none() && resource.generation.0 == 2).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn what_only_a_person_can_repair_fails_with_its_reason_and_heals_all_the_same() {
    let world = World::new().await;
    let long_ago = Timestamp(System::now().0 - 60_000);
    world.agents.be_stuck(Reason::ReleaseMissing, long_ago);
    let running = Running::start(world.reconciler());
    let accepted = world.accept("orders").await;
    let failed = world.until("orders", State::Failed).await;
    assert_eq!(failed.message, Reason::ReleaseMissing.meaning());
    let operation = world.control.operation(&world.caller, accepted.operation.id).await.unwrap();
    let failure = operation.failure.unwrap();
    assert_eq!((operation.state, failure.reason.as_str()), (OperationState::Failed, "ReleaseMissing"));

    world.agents.recover();
    world.until("orders", State::Ready).await;
    running.stop().await;
}

#[tokio::test]
async fn agents_that_are_away_are_asked_again() {
    let world = World::new().await;
    world.agents.be_away(true);
    let running = Running::start(world.reconciler());
    world.accept("orders").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = world.control.resource(&world.caller, &"orders".into()).await.unwrap();
    assert_eq!(waiting.state, State::Provisioning);
    world.agents.be_away(false);
    world.until("orders", State::Ready).await;
    running.stop().await;
}
