//! Crashes at any point: servers that are killed again and again while resources come and go leave nothing lost,
//! doubled or stuck.
//!
//! A crash is a dropped future: it ends at whichever await it has reached, as a killed process does, with transactions
//! rolled back and calls to agents done or not done. What must then hold is checked by the agents (nothing published
//! after it was withdrawn, nothing withdrawn that has brokers) and at the end by the store.

use std::time::Duration;

use model::operation::State as OperationState;
use model::resource::State;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;

use super::{World, eventually};
use control::Page;

/// Servers killed for each seed.
const LIVES: u32 = 25;

/// Three seeds as three tests: each waits more than it works, and they run side by side.
#[tokio::test]
async fn servers_that_are_killed_at_any_moment_converge() {
    kill_and_check(1).await;
}

#[tokio::test]
async fn servers_that_are_killed_at_other_moments_converge() {
    kill_and_check(2).await;
}

#[tokio::test]
async fn servers_that_are_killed_at_yet_other_moments_converge() {
    kill_and_check(3).await;
}

async fn kill_and_check(seed: u64) {
    eprintln!("seed {seed}");
    let world = World::new().await;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut made = 0;
    for _ in 0..LIVES {
        // Something to do in each life: a new resource, or the removal of one at whatever point it is.
        if rng.random_bool(0.6) || made == 0 {
            world.accept(&format!("r{made}")).await;
            made += 1;
        } else {
            let name = format!("r{}", rng.random_range(0..made));
            // Already gone is as good.
            let _ = world.control.destroy_resource(&world.caller, &name.as_str().into(), None).await;
        }
        live_and_die(&world, &mut rng).await;
    }
    let last = super::Running::start(world.reconciler());
    eventually("everything is settled", async || {
        let operations = world.control.operations(&world.caller, None, Page { after: None, limit: 200 });
        let operations = operations.await.unwrap().items;
        operations.iter().all(|operation| operation.state.is_final()).then_some(())
    })
    .await;
    eventually("the agents follow what is there", async || {
        let resources =
            world.control.resources(&world.caller, Page { after: None, limit: 200 }).await.unwrap().items;
        let mut there: Vec<_> = resources.iter().map(|resource| resource.cluster).collect();
        there.sort_unstable();
        (world.agents.followed() == there).then_some(())
    })
    .await;
    last.stop().await;
    check_records(&world).await;
}

/// Runs a server and drops it after a random number of polls or, now and then, of milliseconds.
async fn live_and_die(world: &World, rng: &mut StdRng) {
    let reconciler = world.reconciler();
    let polls = if rng.random_bool(0.5) { rng.random_range(1..60) } else { rng.random_range(60..1_000) };
    let life = Mortal { polls, inner: Box::pin(reconciler.run(CancellationToken::new())) };
    // A server that waits for nothing but the next poll interval is killed by the clock.
    let _ = tokio::time::timeout(Duration::from_millis(rng.random_range(1..100)), life).await;
    // Its lease would run out by itself. Waiting for that is what `leading` tests; here the next one begins at once.
    let mut tx = world.store.begin().await.unwrap();
    store::lease::release_held(&mut tx, crate::LEASE, reconciler.holder).await.unwrap();
    tx.commit().await.unwrap();
}

/// A future that dies after so many polls, that is, at one of its awaits.
struct Mortal<F> {
    polls: u32,
    inner: std::pin::Pin<Box<F>>,
}

impl<F: Future> Future for Mortal<F> {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        if self.polls == 0 {
            return std::task::Poll::Ready(());
        }
        self.polls -= 1;
        self.inner.as_mut().poll(context).map(|_| ())
    }
}

/// Nothing is doubled: one operation of a kind for each generation, one cluster for each resource, an audit event for
/// each acceptance; and what ended well or badly agrees with where the resource is.
async fn check_records(world: &World) {
    let page = Page { after: None, limit: 200 };
    let operations = world.control.operations(&world.caller, None, page).await.unwrap().items;
    let resources = world.control.resources(&world.caller, page).await.unwrap().items;
    for resource in &resources {
        assert_eq!(resource.state, State::Ready, "{} {}", resource.name, resource.message);
    }
    let mut seen = std::collections::BTreeSet::new();
    for operation in &operations {
        let unique = seen.insert((operation.cluster, operation.generation));
        assert!(unique, "two operations for one generation of {}", operation.resource_name);
        let overtaken = operation.failure.as_ref().is_some_and(|failure| failure.reason == "Overtaken");
        assert!(operation.state == OperationState::Succeeded || overtaken, "{operation:?}");
        for step in &operation.steps {
            assert!(step.state.is_final() && step.finished_at.is_some(), "{operation:?}");
        }
    }
    let gone = operations.len() - operations.iter().filter(|each| each.generation.0 == 1).count();
    assert_eq!(gone + resources.len(), operations.iter().filter(|each| each.generation.0 == 1).count());
    assert_eq!(world.agents.withdrawn().len(), gone);
    let audit = world.control.audit(&world.caller, page).await.unwrap().items;
    assert_eq!(audit.len(), operations.len() + 1, "one event for each acceptance and one for the account");
}
