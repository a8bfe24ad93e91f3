use std::net::TcpListener;

use agent::Dispatch;
use model::condition::{Kind, Truth};
use model::version::Release;
use model::{ClusterIntent, ClusterStatus, Reason};

use super::fixture::{Server, cluster, config, faking, kill, next};
use crate::{Local, OpenError};

/// Nothing goes on by itself: Progressing is False, with that reason.
fn held(status: &ClusterStatus, reason: Reason) -> bool {
    status.condition(Kind::Progressing).is_some_and(|it| it.status == Truth::False && it.reason == reason)
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused() {
    let server = Server::start();
    let error = Local::open(config(&server.dir(), "/nowhere".into())).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    server.end().await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Local::open(config(&file, "/nowhere".into())).unwrap_err();
    assert!(error.to_string().contains("must be writable"), "{error}");
}

#[tokio::test]
async fn a_release_that_is_not_installed_holds_the_cluster_with_that_reason() {
    let server = Server::start();
    let intent = ClusterIntent { release: Release("2".to_owned()), ..cluster(1) };
    server.dispatch.publish(&intent).await.unwrap();
    let status = server.wait("the refusal", |status| held(status, Reason::ReleaseMissing)).await;
    let message = &status.brokers[0].message;
    assert!(message.contains("release 2") && message.contains("installed: 1"), "{message}");

    let repaired = ClusterIntent { release: Release("1".to_owned()), ..next(&intent) };
    server.dispatch.publish(&repaired).await.unwrap();
    server.wait_reached(&repaired).await;
    server.end().await;
}

#[tokio::test]
async fn a_configuration_that_the_broker_refuses_is_not_tried_hotly() {
    let server = Server::start();
    let intent = faking(cluster(1), "exit=2 after=1");
    server.dispatch.publish(&intent).await.unwrap();
    let status = server.wait("the refusal", |status| held(status, Reason::BadConfiguration)).await;
    let message = &status.brokers[0].message;
    assert!(message.contains("the fake was told to refuse") && message.contains("correct that"), "{message}");
    let tried = server.record(&intent, 0).incarnation;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(server.record(&intent, 0).incarnation, tried);

    let repaired = faking(next(&intent), "");
    server.dispatch.publish(&repaired).await.unwrap();
    server.wait_reached(&repaired).await;
    server.end().await;
}

#[tokio::test]
async fn a_port_that_somebody_else_took_is_named() {
    let server = Server::start();
    let intent = cluster(1);
    server.dispatch.publish(&intent).await.unwrap();
    let endpoint = server.wait_reached(&intent).await.bootstrap().remove(0);
    // Nobody heals while the port changes hands.
    server.dispatch.stop().await;
    kill(server.pid(&intent, 0));
    let thief = loop {
        match TcpListener::bind((endpoint.host.as_str(), endpoint.port)) {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    };
    let server = server.restart().await;
    let status = server.wait("the refusal", |status| held(status, Reason::BadConfiguration)).await;
    let message = &status.brokers[0].message;
    assert!(message.contains(&format!("cannot listen on {endpoint}")), "{message}");
    drop(thief);
    server.end().await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let server = Server::start();
    let intent = cluster(1);
    // A file where the directory of the brokers belongs: the same for root, whom no mode stops.
    let path = server.local.root().cluster(intent.cluster);
    std::fs::create_dir_all(path.path()).unwrap();
    std::fs::write(path.brokers(), "").unwrap();
    server.dispatch.publish(&intent).await.unwrap();
    let named = |status: &ClusterStatus| {
        status.waiting.iter().any(|waiting| waiting.message.contains(&*path.path().to_string_lossy()))
    };
    let status = server.wait("the refusal", named).await;
    assert_ne!(status.condition(Kind::Ready).unwrap().status, Truth::True);
    std::fs::remove_file(path.brokers()).unwrap();
    server.wait_reached(&intent).await;
    server.end().await;
}
