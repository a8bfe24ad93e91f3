//! Nothing is lost when watches drop, when the server forgets, and when it fails.

use agent::Dispatch;
use futures_util::StreamExt;
use model::{ClusterIntent, ClusterStatus, Generation};
use serde_json::json;
use telemetry::Registry;

use super::server::{Forgotten, Server};
use super::{config, in_time, next, orders, reached};
use crate::{Kubernetes, Metrics};

struct World {
    server: Server,
    dispatch: Kubernetes,
    registry: Registry,
    intent: ClusterIntent,
}

impl World {
    /// One cluster that is ready, and seen so.
    async fn new() -> World {
        let server = Server::default();
        let registry = Registry::new();
        let dispatch = Kubernetes::start(server.client(), config(), Metrics::register(&registry));
        let mut world = World { server, dispatch, registry, intent: orders() };
        world.dispatch.publish(&world.intent).await.unwrap();
        world.server.say(&world.intent, &reached(&world.intent));
        world.hears(world.intent.generation).await;
        world
    }

    /// The next change, made while the watch may be anything.
    async fn change(&mut self) {
        self.intent = next(&self.intent);
        self.dispatch.publish(&self.intent).await.unwrap();
        self.server.say(&self.intent, &reached(&self.intent));
    }

    async fn hears(&mut self, generation: Generation) -> ClusterStatus {
        let mut statuses = Box::pin(self.dispatch.statuses());
        let looking = async {
            loop {
                let said = statuses.next().await.expect("statuses do not end");
                if said.observed_generation == generation {
                    return said;
                }
            }
        };
        in_time("the status of that generation", looking).await
    }

    fn counted(&self, line: &str) -> bool {
        self.registry.page().lines().any(|it| it == line)
    }
}

#[tokio::test]
async fn a_dropped_watch_costs_nothing() {
    let mut world = World::new().await;
    for _ in 0..3 {
        world.server.drop_watches();
        world.change().await;
        world.hears(world.intent.generation).await;
    }
    world.dispatch.stop().await;
}

#[tokio::test]
async fn a_server_that_forgot_is_asked_for_everything() {
    for how in [Forgotten::Told, Forgotten::Answered] {
        let mut world = World::new().await;
        let lists = world.server.asked("list");
        world.server.forget_watches(how);
        world.change().await;
        world.hears(world.intent.generation).await;
        assert!(world.server.asked("list") > lists, "{how:?}");
        let counted = world.counted("penstock_kube_watch_failures_total{cause=\"gone\"} 1");
        assert!(counted, "{how:?}: {}", world.registry.page());
        world.dispatch.stop().await;
    }
}

#[tokio::test]
async fn what_was_deleted_while_nobody_watched_is_lost_too() {
    let mut world = World::new().await;
    world.server.forget_watches(Forgotten::Told);
    world.server.delete("orders");
    let lost = world.hears(Generation::NONE).await;
    assert!(lost.is_lost());
    world.dispatch.stop().await;
}

#[tokio::test]
async fn failures_of_the_server_are_ridden_over_and_counted() {
    let mut world = World::new().await;
    world.server.fail_next(2, 500);
    world.server.drop_watches();
    world.change().await;
    world.hears(world.intent.generation).await;
    assert!(world.counted("penstock_kube_watching 1"), "{}", world.registry.page());
    assert!(world.counted("penstock_kube_followed_clusters 1"), "{}", world.registry.page());
    world.dispatch.stop().await;
}

#[tokio::test]
async fn an_object_that_cannot_be_read_holds_up_no_other() {
    let mut world = World::new().await;
    let other = ClusterIntent {
        cluster: model::ClusterId(uuid::Uuid::from_u128(8)),
        name: "payments".to_owned(),
        ..orders()
    };
    world.dispatch.publish(&other).await.unwrap();
    world.server.edit("payments", |object| object["spec"]["pools"] = json!("three"));
    world.change().await;
    world.hears(world.intent.generation).await;
    assert!(world.counted("penstock_kube_unreadable_total 1"), "{}", world.registry.page());
    world.dispatch.stop().await;
}

#[tokio::test]
async fn a_status_that_was_edited_by_hand_is_not_passed_on() {
    let mut world = World::new().await;
    world.server.edit("orders", |object| object["status"]["conditions"][0]["reason"] = json!("Whatever"));
    world.server.edit("orders", |object| {
        object["status"]["clusterId"] = json!("00000000-0000-0000-0000-000000000009");
    });
    world.change().await;
    let said = world.hears(world.intent.generation).await;
    assert_eq!(said, reached(&world.intent));
    world.dispatch.stop().await;
}
