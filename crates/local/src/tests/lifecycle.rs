use agent::{Dispatch, DispatchError};
use model::{ClusterIntent, Lifecycle, Reason};

use super::fixture::{Server, cluster, next};

#[tokio::test]
async fn a_cluster_is_created_stopped_resumed_and_removed() {
    let server = Server::start();
    let created = cluster(2);
    server.dispatch.publish(&created).await.unwrap();
    let ready = server.wait_reached(&created).await;
    let bootstrap = ready.bootstrap();
    assert_eq!(bootstrap.len(), 2);
    assert!(ready.cluster_ca.unwrap().starts_with("-----BEGIN CERTIFICATE-----"));

    let stopped = ClusterIntent { lifecycle: Lifecycle::Stop, ..next(&created) };
    server.dispatch.publish(&stopped).await.unwrap();
    server.wait_reached(&stopped).await;
    assert!(server.record(&created, 0).ended.is_some());

    let resumed = ClusterIntent { lifecycle: Lifecycle::Run, ..next(&stopped) };
    server.dispatch.publish(&resumed).await.unwrap();
    let ready = server.wait_reached(&resumed).await;
    assert_eq!(ready.bootstrap(), bootstrap, "addresses stay");
    assert!(ready.brokers.iter().all(|broker| broker.restarts == 0), "being stopped is no crash");

    let removed = ClusterIntent { lifecycle: Lifecycle::Remove, ..next(&resumed) };
    server.dispatch.publish(&removed).await.unwrap();
    let gone = server.wait("the removal", |status| status.removed).await;
    assert!(gone.has_reached(removed.generation));
    server.dispatch.withdraw(removed.cluster).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(server.dir().join("clusters"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [".lock"]);
    server.end().await;
}

#[tokio::test]
async fn an_older_intent_is_refused_and_the_same_one_is_no_news() {
    let server = Server::start();
    let first = cluster(1);
    let second = next(&first);
    server.dispatch.publish(&second).await.unwrap();
    server.dispatch.publish(&second).await.unwrap();
    let error = server.dispatch.publish(&first).await.unwrap_err();
    assert!(matches!(error, DispatchError::Superseded { .. }), "{error}");
    let forged = ClusterIntent { name: "sales".to_owned(), ..second.clone() };
    let error = server.dispatch.publish(&forged).await.unwrap_err();
    assert!(matches!(error, DispatchError::Different { .. }), "{error}");
    server.end().await;
}

#[tokio::test]
async fn a_change_restarts_one_broker_after_the_other() {
    let server = Server::start();
    let created = cluster(2);
    server.dispatch.publish(&created).await.unwrap();
    server.wait_reached(&created).await;
    let before = [0, 1].map(|broker| server.record(&created, broker).incarnation);

    // A second is long beside a look: two at once would be seen.
    let mut changed = next(&created);
    changed.config.insert("fake".to_owned(), "slow=1000".to_owned());
    server.dispatch.publish(&changed).await.unwrap();
    let waits = |status: &model::ClusterStatus, broker: usize| {
        status.brokers[broker].reason == Reason::Restarting
            && status.brokers[1 - broker].ready == model::condition::Truth::False
    };
    server.wait("broker 1 waiting for broker 0", |status| waits(status, 1)).await;
    assert_eq!(server.record(&created, 1).incarnation, before[1], "it was left alone meanwhile");
    server.wait_reached(&changed).await;
    let after = [0, 1].map(|broker| server.record(&created, broker).incarnation);
    assert!(before[0] != after[0] && before[1] != after[1]);
    server.end().await;
}

#[tokio::test]
async fn a_paused_cluster_is_not_even_healed() {
    let server = Server::start();
    let created = cluster(1);
    server.dispatch.publish(&created).await.unwrap();
    server.wait_reached(&created).await;
    let paused = ClusterIntent { lifecycle: Lifecycle::Pause, ..next(&created) };
    server.dispatch.publish(&paused).await.unwrap();
    server.wait_reached(&paused).await;
    super::fixture::kill(server.pid(&created, 0));
    let down =
        server.wait("the end of the broker", |status| status.brokers[0].reason == Reason::BrokerDown).await;
    assert!(down.brokers[0].message.contains("paused"), "{}", down.brokers[0].message);

    let resumed = ClusterIntent { lifecycle: Lifecycle::Run, ..next(&paused) };
    server.dispatch.publish(&resumed).await.unwrap();
    server.wait_reached(&resumed).await;
    server.end().await;
}
