//! The promises of seam A, as every dispatch gives them.

use agent::{Dispatch, DispatchError};
use futures_util::{Stream, StreamExt};
use model::ClusterStatus;

use super::server::Server;
use super::{config, in_time, metrics, next, orders, reached, removal};
use crate::Kubernetes;

fn dispatch(server: &Server) -> Kubernetes {
    Kubernetes::start(server.client(), config(), metrics())
}

/// The next status that fits.
async fn heard(
    statuses: &mut (impl Stream<Item = ClusterStatus> + Unpin),
    fits: impl Fn(&ClusterStatus) -> bool,
) -> ClusterStatus {
    let looking = async {
        loop {
            let status = statuses.next().await.expect("statuses do not end");
            if fits(&status) {
                return status;
            }
        }
    };
    in_time("a status that fits", looking).await
}

#[tokio::test]
async fn publishing_twice_changes_nothing() {
    let server = Server::default();
    let dispatch = dispatch(&server);
    dispatch.publish(&orders()).await.unwrap();
    let stored = server.object("orders").unwrap();
    dispatch.publish(&orders()).await.unwrap();
    assert_eq!(server.object("orders").unwrap(), stored);
    assert_eq!(server.asked("apply"), 1);
    dispatch.stop().await;
}

#[tokio::test]
async fn what_was_published_is_stored_whatever_becomes_of_the_platform() {
    let server = Server::default();
    let first = dispatch(&server);
    first.publish(&orders()).await.unwrap();
    drop(first);
    let object = serde_json::from_value(server.object("orders").unwrap()).unwrap();
    assert_eq!(crd::intent::of(&object, None).unwrap(), orders());
}

#[tokio::test]
async fn an_older_intent_is_refused_and_a_newer_one_replaces() {
    let server = Server::default();
    let dispatch = dispatch(&server);
    let second = next(&orders());
    dispatch.publish(&orders()).await.unwrap();
    dispatch.publish(&second).await.unwrap();
    let error = dispatch.publish(&orders()).await.unwrap_err();
    assert!(matches!(error, DispatchError::Superseded { .. }), "{error}");
    let mut other = second.clone();
    other.config.insert("num.partitions".to_owned(), "17".to_owned());
    let error = dispatch.publish(&other).await.unwrap_err();
    assert!(matches!(error, DispatchError::Different { .. }), "{error}");
    dispatch.stop().await;
}

#[tokio::test]
async fn a_reader_hears_how_everything_is_and_then_each_change_with_all_that_clients_need() {
    let server = Server::default();
    let dispatch = dispatch(&server);
    dispatch.publish(&orders()).await.unwrap();
    server.say(&orders(), &reached(&orders()));
    let mut early = Box::pin(dispatch.statuses());
    assert_eq!(heard(&mut early, |_| true).await, reached(&orders()));
    let mut late = Box::pin(dispatch.statuses());
    assert_eq!(heard(&mut late, |_| true).await, reached(&orders()));
    let second = next(&orders());
    dispatch.publish(&second).await.unwrap();
    server.say(&second, &reached(&second));
    for reader in [&mut early, &mut late] {
        let said = heard(reader, |said| said.observed_generation == second.generation).await;
        assert_eq!(said, reached(&second));
    }
    drop((early, late));
    dispatch.stop().await;
}

#[tokio::test]
async fn a_removed_cluster_is_withdrawn_and_not_spoken_of_again() {
    let server = Server::default();
    let dispatch = dispatch(&server);
    let last = removal(&orders());
    dispatch.publish(&orders()).await.unwrap();
    dispatch.publish(&last).await.unwrap();
    server.say(&last, &reached(&last));
    let mut statuses = Box::pin(dispatch.statuses());
    heard(&mut statuses, |said| said.removed).await;
    dispatch.withdraw(last.cluster).await.unwrap();
    dispatch.withdraw(last.cluster).await.unwrap();
    assert_eq!(server.object("orders"), None);
    drop(statuses);
    let mut statuses = Box::pin(dispatch.statuses());
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(200), statuses.next());
    assert!(nothing.await.is_err(), "a withdrawn cluster is still spoken of");
    drop(statuses);
    dispatch.stop().await;
}

#[tokio::test]
async fn an_object_that_somebody_deletes_is_reported_as_lost() {
    let server = Server::default();
    let dispatch = dispatch(&server);
    dispatch.publish(&orders()).await.unwrap();
    server.say(&orders(), &reached(&orders()));
    let mut statuses = Box::pin(dispatch.statuses());
    heard(&mut statuses, |said| !said.is_lost()).await;
    server.delete("orders");
    let lost = heard(&mut statuses, ClusterStatus::is_lost).await;
    assert_eq!(lost.cluster, orders().cluster);
    dispatch.publish(&orders()).await.unwrap();
    server.say(&orders(), &reached(&orders()));
    assert_eq!(heard(&mut statuses, |said| !said.is_lost()).await, reached(&orders()));
    drop(statuses);
    dispatch.stop().await;
}
