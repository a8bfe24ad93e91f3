//! Who leads, and that nobody else writes.

use std::time::Duration;

use store::StoreError;
use uuid::Uuid;

use super::{Running, World};

const VALID: Duration = Duration::from_millis(100);

async fn acquire(world: &World, holder: u128) -> Option<store::Lease> {
    let mut tx = world.store.begin().await.unwrap();
    let holder = Uuid::from_u128(holder);
    let lease = store::lease::acquire(&mut tx, "test", holder, VALID).await.unwrap();
    tx.commit().await.unwrap();
    lease
}

#[tokio::test]
async fn a_lease_passes_on_when_it_expires_and_its_old_holder_writes_nothing_more() {
    let world = World::new().await;
    let first = acquire(&world, 1).await.unwrap();
    assert_eq!(acquire(&world, 2).await, None);
    world.store.begin_as(&first).await.unwrap().commit().await.unwrap();
    tokio::time::sleep(VALID * 2).await;
    // Expired but not taken: the holder may go on.
    let mut tx = world.store.begin().await.unwrap();
    assert!(store::lease::renew(&mut tx, &first, VALID).await.unwrap());
    tx.commit().await.unwrap();
    tokio::time::sleep(VALID * 2).await;
    let second = acquire(&world, 2).await.unwrap();
    assert_eq!(second.generation, first.generation + 1);
    assert!(matches!(world.store.begin_as(&first).await, Err(StoreError::LeaseLost)));
    let mut tx = world.store.begin().await.unwrap();
    assert!(!store::lease::renew(&mut tx, &first, VALID).await.unwrap());
}

#[tokio::test]
async fn nobody_takes_a_lease_over_in_the_middle_of_a_write() {
    let world = World::new().await;
    let first = acquire(&world, 1).await.unwrap();
    let pinned = world.store.begin_as(&first).await.unwrap();
    tokio::time::sleep(VALID * 2).await;
    let taking = acquire(&world, 2);
    let mut taking = std::pin::pin!(taking);
    let early = tokio::time::timeout(Duration::from_millis(200), taking.as_mut()).await;
    assert!(early.is_err(), "the takeover waits for the write");
    pinned.commit().await.unwrap();
    assert!(taking.await.is_some());
}

#[tokio::test]
async fn of_two_servers_one_leads_and_the_other_takes_over_at_once_when_it_stops() {
    let world = World::new().await;
    let one = Running::start(world.reconciler());
    world.accept("a").await;
    world.ready("a").await;
    let two = Running::start(world.reconciler());
    one.stop().await;
    world.accept("b").await;
    world.ready("b").await;
    two.stop().await;
}
