//! Accepting a removal.

use model::operation::{Kind, State as OperationState};
use model::resource::State;
use model::{Generation, Lifecycle};

use super::{World, dev};
use crate::{Page, Problem};

#[tokio::test]
async fn a_removal_is_accepted_once_and_overtakes_what_was_under_way() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let accepted = world.accept(&caller, "orders").await;
    let removal = world.control.destroy_resource(&caller, &"orders".into(), None).await.unwrap();
    assert_eq!(removal.resource.state, State::Deprovisioning);
    assert_eq!((removal.operation.kind, removal.operation.generation), (Kind::Deprovision, Generation(2)));

    let again = world.control.destroy_resource(&caller, &"orders".into(), None).await.unwrap();
    assert_eq!(again.operation.id, removal.operation.id);
    let provision = world.control.operation(&caller, accepted.operation.id).await.unwrap();
    assert_eq!(provision.state, OperationState::Failed);
    assert_eq!(provision.failure.unwrap().reason, "Overtaken");

    let mut tx = world.store.begin().await.unwrap();
    let intent = store::cluster::newest_intent(&mut tx, accepted.resource.cluster).await.unwrap().unwrap();
    assert_eq!((intent.generation, intent.lifecycle), (Generation(2), Lifecycle::Remove));
    drop(tx);
    // Still there, and its name still taken, until everything is gone.
    let taken = world.control.create_resource(&caller, &dev("orders"), None).await;
    assert!(matches!(taken, Err(Problem::NameTaken { .. })));
    assert_eq!(world.control.resources(&caller, Page::default()).await.unwrap().items.len(), 1);
    let trail = world.trail(&caller).await;
    assert_eq!(trail, ["account.create acme", "resource.create orders", "resource.destroy orders"]);
}

#[tokio::test]
async fn a_removal_of_something_else_than_was_seen_is_refused() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    world.accept(&caller, "orders").await;
    let stale = world.control.destroy_resource(&caller, &"orders".into(), Some(Generation(7))).await;
    assert!(matches!(stale, Err(Problem::GenerationConflict { current: Generation(1) })));
    world.control.destroy_resource(&caller, &"orders".into(), Some(Generation(1))).await.unwrap();
}

#[tokio::test]
async fn removals_at_the_same_time_are_one() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    world.accept(&caller, "orders").await;
    let reference = "orders".into();
    let attempts = (0..6).map(|_| world.control.destroy_resource(&caller, &reference, None));
    let outcomes = futures_util::future::join_all(attempts).await;
    let first = outcomes[0].as_ref().unwrap().operation.id;
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().operation.id == first));
}

#[tokio::test]
async fn what_is_gone_says_so_by_id_and_frees_its_name() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let id = world.accept(&caller, "orders").await.resource.id;
    let mut tx = world.store.begin().await.unwrap();
    store::resource::set_state(&mut tx, id, State::Gone, "gone", world.now()).await.unwrap();
    tx.commit().await.unwrap();
    let by_id = world.control.resource(&caller, &id.into()).await;
    assert!(matches!(by_id, Err(Problem::Gone { what: "resource", .. })));
    let by_name = world.control.resource(&caller, &"orders".into()).await;
    assert!(matches!(by_name, Err(Problem::NotFound { .. })));
    let stranger = world.tenant("other").await;
    assert!(matches!(world.control.resource(&stranger, &id.into()).await, Err(Problem::NotFound { .. })));
    world.accept(&caller, "orders").await;
}
