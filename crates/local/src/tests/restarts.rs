use std::time::{Duration, Instant};

use agent::{Dispatch, Substrate};
use model::observed::{Exit, Process};
use model::{Action, BrokerId, ClusterIntent, Lifecycle, Reason};

use super::fixture::{Server, cluster, faking, is_ready, kill, next};
use crate::procfs;

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
async fn a_killed_broker_is_back_at_once() {
    let server = Server::start();
    let intent = cluster(1);
    server.dispatch.publish(&intent).await.unwrap();
    server.wait_reached(&intent).await;
    let killed = Instant::now();
    kill(server.pid(&intent, 0));
    server.wait("the restart", |status| is_ready(status) && status.brokers[0].restarts == 1).await;
    // It takes some 20 ms; the bound only tells "at once" from "after a pause or the next look".
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
    server.end().await;
}

#[tokio::test]
async fn brokers_outlive_the_server_and_are_taken_up_again() {
    let server = Server::start();
    let intent = cluster(2);
    server.dispatch.publish(&intent).await.unwrap();
    let before = server.wait_reached(&intent).await;
    let pids = [0, 1].map(|broker| server.pid(&intent, broker));

    let server = server.restart().await;
    let after = server.wait_reached(&intent).await;
    assert_eq!([0, 1].map(|broker| server.pid(&intent, broker)), pids);
    assert_eq!(after.bootstrap(), before.bootstrap());

    // One that this server did not start is missed all the same.
    kill(pids[1]);
    server.wait("the restart", |status| is_ready(status) && status.brokers[1].restarts == 1).await;
    let again = server.pid(&intent, 1);
    assert_ne!(again, pids[1]);
    server.end().await;
}

#[tokio::test]
async fn a_start_that_was_not_recorded_is_found_and_not_repeated() {
    let server = Server::start();
    let intent = cluster(1);
    server.dispatch.publish(&intent).await.unwrap();
    server.wait_reached(&intent).await;
    let pid = server.pid(&intent, 0);

    // As if the server had died between starting the process and writing down its number.
    let mut record = server.record(&intent, 0);
    record.process = None;
    let path = server.local.root().cluster(intent.cluster).broker(BrokerId(0)).record();
    std::fs::write(path, serde_json::to_vec(&record).unwrap()).unwrap();

    let server = server.restart().await;
    server.wait_reached(&intent).await;
    let seen = server.local.observe(intent.cluster).await.unwrap();
    let Process::Running { incarnation, .. } = &seen.brokers[&BrokerId(0)].process else {
        panic!("{seen:?}");
    };
    assert_eq!(*incarnation, record.incarnation);
    assert!(procfs::process(pid).unwrap().is_some());
    server.end().await;
    assert!(procfs::process(pid).unwrap().is_none(), "it was stopped as one of ours");
}

#[tokio::test]
async fn a_broker_that_ended_unwatched_is_started_again() {
    let server = Server::start();
    let intent = cluster(1);
    server.dispatch.publish(&intent).await.unwrap();
    server.wait_reached(&intent).await;
    server.dispatch.stop().await;
    kill(server.pid(&intent, 0));
    let server = server.restart().await;
    server.wait_reached(&intent).await;
    server.end().await;
}

#[tokio::test]
async fn a_crash_loop_is_held_with_its_reason() {
    let server = Server::start();
    let intent = faking(cluster(1), "exit=101 after=1");
    server.dispatch.publish(&intent).await.unwrap();
    let looping = server.wait("a crash loop", |status| status.brokers[0].reason == Reason::CrashLoop).await;
    let message = &looping.brokers[0].message;
    assert!(message.contains("exit status 101") && message.contains("the next start is at"), "{message}");

    // A change is tried at once.
    let repaired = faking(next(&intent), "slow=1");
    server.dispatch.publish(&repaired).await.unwrap();
    server.wait_reached(&repaired).await;
    server.end().await;
}

#[tokio::test]
async fn a_second_start_beside_a_running_broker_is_not_needed() {
    let server = Server::start();
    let intent = cluster(1);
    server.dispatch.publish(&intent).await.unwrap();
    server.wait_reached(&intent).await;
    let pid = server.pid(&intent, 0);
    server.dispatch.stop().await;
    let (id, pool) = intent.brokers().next().unwrap();
    let start = Action::Start(planner_spec(&intent, id, pool));
    assert_eq!(server.local.perform(intent.cluster, &start).await.unwrap(), agent::Performed::Unneeded);
    let stop = Action::Stop { broker: id, incarnation: "of yesterday".to_owned(), spare_recovery: true };
    assert_eq!(server.local.perform(intent.cluster, &stop).await.unwrap(), agent::Performed::Unneeded);
    let remove = Action::RemoveBroker { broker: id };
    let refused = server.local.perform(intent.cluster, &remove).await.unwrap_err();
    assert!(refused.sentence().contains("still runs"), "{}", refused.sentence());
    assert_eq!(server.pid(&intent, 0), pid);
    server.end().await;
}

#[tokio::test]
async fn a_broker_that_ignores_being_told_to_stop_is_killed_in_the_end_and_its_cluster_removed() {
    let server = Server::start();
    let intent = faking(cluster(1), "ignore-stop");
    server.dispatch.publish(&intent).await.unwrap();
    server.wait_reached(&intent).await;
    let removed = ClusterIntent { lifecycle: Lifecycle::Remove, ..next(&intent) };
    server.dispatch.publish(&removed).await.unwrap();
    server.wait("the removal", |status| status.removed).await;
    server.end().await;
}

#[tokio::test]
async fn a_broker_that_checks_its_logs_says_so_and_is_left_alone() {
    let server = Server::start();
    let intent = faking(cluster(1), "recover=1500");
    server.dispatch.publish(&intent).await.unwrap();
    let recovering =
        server.wait("recovery", |status| status.brokers[0].reason == Reason::BrokerRecovering).await;
    assert!(recovering.brokers[0].message.contains("1 of 4"), "{}", recovering.brokers[0].message);
    let pid = server.pid(&intent, 0);
    // Neither a change nor a stop touches it.
    let stopped = ClusterIntent { lifecycle: Lifecycle::Stop, ..next(&intent) };
    server.dispatch.publish(&stopped).await.unwrap();
    let waiting =
        server.wait("the new intent", |status| status.observed_generation == stopped.generation).await;
    assert_eq!(waiting.brokers[0].reason, Reason::BrokerRecovering);
    assert_eq!(server.pid(&intent, 0), pid);
    server.wait_reached(&stopped).await;
    assert!(matches!(server.record(&intent, 0).ended.unwrap().exit, Exit::Clean));
    server.end().await;
}

fn planner_spec(
    intent: &ClusterIntent,
    broker: BrokerId,
    pool: &model::intent::Pool,
) -> model::action::BrokerSpec {
    model::action::BrokerSpec {
        cluster: intent.cluster,
        cluster_name: intent.name.clone(),
        broker,
        pool: pool.name.clone(),
        release: intent.release.clone(),
        storage: pool.storage,
        listeners: intent.listeners.clone(),
        client_cas: intent.client_cas.clone(),
        config: intent.config.clone(),
    }
}
