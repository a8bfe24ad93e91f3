//! What becomes of an intent that agents refuse or lose, and what is counted.

use model::operation::State as OperationState;
use model::resource::State;
use telemetry::Registry;

use super::{Running, World, eventually};

/// Waits until the page shows a line that begins so.
async fn counted(registry: &Registry, line: &str) {
    let shown = async || registry.page().lines().any(|it| it.starts_with(line)).then_some(());
    eventually(line, shown).await;
}

#[tokio::test]
async fn whoever_waits_reads_why_an_intent_is_refused_and_it_is_tried_until_it_is_taken() {
    let quiet = testkit::quiet();
    // Stopping may cut a begin or a commit off; what the driver then sends meets the other state.
    quiet.allow("transaction in progress");
    quiet.allow("an intent waits for somebody to act");
    let world = World::new().await;
    world.agents.refuse(Some("the name is taken; free it"));
    let running = Running::start(world.reconciler());
    let accepted = world.accept("orders").await;
    let operation = eventually("the reason", async || {
        let operation = world.control.operation(&world.caller, accepted.operation.id).await.unwrap();
        operation.steps[0].message.contains("the name is taken").then_some(operation)
    })
    .await;
    assert_eq!(operation.state, OperationState::Pending);
    assert_eq!(operation.steps[0].message, "not yet: the name is taken; free it");
    let resource = world.control.resource(&world.caller, &"orders".into()).await.unwrap();
    assert_eq!((resource.state, &*resource.message), (State::Provisioning, "the name is taken; free it"));

    world.agents.refuse(None);
    world.ready("orders").await;
    let operation = world.control.operation(&world.caller, accepted.operation.id).await.unwrap();
    assert_eq!(operation.steps[0].message, "the cluster's agent has it");
    running.stop().await;
}

#[tokio::test]
async fn an_intent_that_agents_lost_is_handed_over_again_also_after_they_were_away() {
    let quiet = testkit::quiet();
    // Stopping may cut a begin or a commit off; what the driver then sends meets the other state.
    quiet.allow("transaction in progress");
    quiet.allow("an intent could not be handed over");
    let world = World::new().await;
    let running = Running::start(world.reconciler());
    let cluster = world.accept("orders").await.resource.cluster;
    world.ready("orders").await;
    let taken = world.agents.taken();
    world.agents.lose(cluster);
    eventually("it is taken again", async || (world.agents.taken() > taken).then_some(())).await;
    assert_eq!(world.agents.followed(), [cluster]);

    // A leader that begins while the agents are away does not forget what they have lost meanwhile.
    running.stop().await;
    world.agents.be_away(true);
    let running = Running::start(world.reconciler());
    world.agents.lose(cluster);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(world.agents.followed().is_empty());
    world.agents.be_away(false);
    eventually("it is taken again", async || (!world.agents.followed().is_empty()).then_some(())).await;
    running.stop().await;
}

#[tokio::test]
async fn what_a_leader_does_is_counted() {
    let quiet = testkit::quiet();
    // Stopping may cut a begin or a commit off; what the driver then sends meets the other state.
    quiet.allow("transaction in progress");
    let world = World::new().await;
    let registry = Registry::new();
    let running = Running::start(world.reconciler().measured(&registry));
    world.accept("orders").await;
    world.ready("orders").await;
    for line in [
        "penstock_reconciler_leading 1",
        "penstock_reconciler_told_total{answer=\"ok\",what=\"publish\"} 1",
        "penstock_reconciler_statuses_total{outcome=\"stored\"} 1",
        "penstock_reconciler_resource_changes_total{to=\"ready\"} 1",
        "penstock_reconciler_waiting{what=\"operations\"} 0",
        "penstock_reconciler_waiting{what=\"jobs\"} 0",
        "penstock_reconciler_jobs_dead 0",
        "penstock_reconciler_tasks_total{outcome=\"ok\",task=\"run jobs\"} ",
        "penstock_reconciler_task_seconds_count{task=\"tell the agents\"} ",
    ] {
        counted(&registry, line).await;
    }
    running.stop().await;
    assert!(registry.page().contains("penstock_reconciler_leading 0"), "{}", registry.page());
}

#[tokio::test]
async fn what_waits_is_counted_with_its_age() {
    let quiet = testkit::quiet();
    // Stopping may cut a begin or a commit off; what the driver then sends meets the other state.
    quiet.allow("transaction in progress");
    quiet.allow("an intent could not be handed over");
    let world = World::new().await;
    let registry = Registry::new();
    world.agents.be_away(true);
    let running = Running::start(world.reconciler().measured(&registry));
    world.accept("orders").await;
    counted(&registry, "penstock_reconciler_waiting{what=\"intents\"} 1").await;
    counted(&registry, "penstock_reconciler_waiting{what=\"operations\"} 1").await;
    world.agents.be_away(false);
    world.ready("orders").await;
    world.agents.be_away(true);
    world.destroy("orders").await;
    counted(&registry, "penstock_reconciler_waiting{what=\"intents\"} 1").await;
    world.agents.be_away(false);
    counted(&registry, "penstock_reconciler_waiting{what=\"effects\"} 0").await;
    running.stop().await;
}
