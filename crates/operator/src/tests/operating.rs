//! The operator as a whole against a server whose watches break, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use model::{BrokerId, Bytes};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::fixture::{self, node, valid};
use super::server::ApiServer;
use crate::build::claim;
use crate::metrics::Metrics;
use crate::run::{self, Process};

const CLUSTERS: &str = "/apis/penstock.dev/v1alpha1/kafkaclusters";
const CLUSTER: &str = "/apis/penstock.dev/v1alpha1/namespaces/shop/kafkaclusters/orders";
const CONFIG: &str = "/api/v1/namespaces/shop/configmaps/orders-broker-0";

/// What somebody may delete by hand, with the collection that shows it.
const AROUND: [(&str, &str); 4] = [
    ("/api/v1/services", "/api/v1/namespaces/shop/services/orders-bootstrap"),
    ("/api/v1/services", "/api/v1/namespaces/shop/services/orders-broker-0"),
    ("/api/v1/secrets", "/api/v1/namespaces/shop/secrets/orders-broker-0"),
    ("/api/v1/configmaps", CONFIG),
];

/// How soon a person should see it again: far below the time after which everything is looked at anyway.
const SOON: Duration = Duration::from_secs(5);

/// An operator at work.
struct Operator {
    server: ApiServer,
    metrics: Arc<Metrics>,
    task: AbortOnDropHandle<anyhow::Result<()>>,
}

impl Operator {
    fn start(server: &ApiServer) -> Operator {
        let process = Process {
            admin: ([127, 0, 0, 1], 0).into(),
            lease_namespace: "default".to_owned(),
            lease_name: "penstock-operator".to_owned(),
            identity: "me".to_owned(),
        };
        let metrics = Arc::new(Metrics::default());
        let cancel = CancellationToken::new();
        let running = run::run(server.client(), fixture::settings(), process, Arc::clone(&metrics), cancel);
        Operator { server: server.clone(), metrics, task: AbortOnDropHandle::new(tokio::spawn(running)) }
    }

    /// With a cluster that is stopped: what lies around its broker is looked after, and nothing has to run.
    async fn with_cluster() -> Operator {
        let server = ApiServer::default();
        server.put("/api/v1/nodes/node1", &node("node1", "True"));
        server.put(CLUSTER, &fixture::object_with(&json!({ "lifecycle": "Stop" })));
        let claim = claim::build(&valid(), BrokerId(0), "brokers", Bytes::gib(2), None);
        server.put(&format!("/api/v1/namespaces/shop/persistentvolumeclaims/{}", claim.name_any()), &claim);
        let operator = Operator::start(&server);
        for (_, path) in AROUND {
            operator.until(SOON, path, || server.get(path).is_some()).await;
        }
        // Until the last event of its own doing has come back to it.
        tokio::time::sleep(SOON).await;
        operator
    }

    async fn until(&self, limit: Duration, what: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let came = tokio::time::timeout(limit, waiting).await;
        assert!(came.is_ok(), "not within {limit:?}: {what}\n{}", self.server.transcript());
        assert!(!self.task.is_finished(), "the operator ended");
    }

    /// Deletes an object and waits until it is there again.
    async fn comes_back(&self, path: &str) {
        self.server.take_away(path);
        self.until(SOON, path, || self.server.get(path).is_some()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_by_hand_comes_back_soon() {
    let operator = Operator::with_cluster().await;
    for (_, path) in AROUND {
        operator.comes_back(path).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_seen_while_clusters_themselves_cannot_be_watched() {
    let operator = Operator::with_cluster().await;
    for request in ["WATCH", "GET"] {
        operator.server.refuse(&format!("{request} {CLUSTERS}"), 500, "away for an upgrade");
    }
    operator.server.drop_watches(CLUSTERS);
    // Long enough for pauses between tries to have grown.
    tokio::time::sleep(Duration::from_secs(50)).await;
    for (_, path) in AROUND {
        operator.comes_back(path).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_seen_however_its_watch_ends() {
    let operator = Operator::with_cluster().await;
    let server = &operator.server;
    for (collection, path) in AROUND {
        // Between the end of one watch and the beginning of the next.
        server.drop_watches(collection);
        operator.comes_back(path).await;
        // The server has forgotten the version from which the next watch begins, so everything is listed anew.
        for by_answer in [false, true] {
            server.forget(collection, by_answer);
            server.take_away(path);
            operator.until(SOON, path, || server.get(path).is_some()).await;
        }
        // Nothing but a bookmark was said before the end of the watch.
        server.bookmark(collection, "Any", "v1");
        server.drop_watches(collection);
        operator.comes_back(path).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_during_a_pass_is_seen_by_the_next() {
    let operator = Operator::with_cluster().await;
    let server = &operator.server;
    let budget = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/orders";
    for (_, path) in AROUND {
        // The pass puts the budget right, and hangs there; services and the rest were found as they should be before.
        server.hang(&format!("PATCH {budget}"));
        server.take_away(budget);
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.take_away(path);
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.relent();
        operator.until(SOON, path, || server.get(path).is_some() && server.get(budget).is_some()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_be_begun_is_tried_until_it_can() {
    let operator = Operator::with_cluster().await;
    let server = &operator.server;
    let (collection, path) = AROUND[0];
    for code in [500, 429, 403] {
        for verb in ["WATCH", "GET"] {
            server.refuse(&format!("{verb} {collection}"), code, "not now");
        }
        server.drop_watches(collection);
        server.take_away(path);
        tokio::time::sleep(Duration::from_secs(60)).await;
        server.transcript();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let tries = server.transcript().lines().filter(|line| line.ends_with(collection)).count();
        assert!((1..=8).contains(&tries), "{code}: {tries} tries a minute");
        server.relent();
        // One pause between tries, which grew to half a minute and as much again by chance.
        let limit = Duration::from_secs(61) + SOON;
        operator.until(limit, path, || server.get(path).is_some()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_deleted_is_left_at_once_and_after_a_list_that_lacks_it() {
    let operator = Operator::with_cluster().await;
    let server = &operator.server;
    let object = server.get(CLUSTER).unwrap();
    let put = |uid: u128| {
        let mut object = object.clone();
        object["metadata"]["uid"] = json!(uuid::Uuid::from_u128(uid << 96).to_string());
        object["metadata"]["resourceVersion"] = serde_json::Value::Null;
        server.put(CLUSTER, &object);
    };
    let followed = |count: i64| operator.metrics.clusters.get() == count;
    server.take_away(CLUSTER);
    operator.until(SOON, "it is left", || followed(0)).await;
    server.collect_garbage();
    put(8);
    operator.until(SOON, "it is followed", || followed(1)).await;
    tokio::time::sleep(SOON).await;
    server.forget(CLUSTERS, false);
    server.take_away(CLUSTER);
    operator.until(SOON, "it is left", || followed(0)).await;
    server.collect_garbage();
    tokio::time::sleep(2 * SOON).await;
    assert!(server.get(AROUND[0].1).is_none(), "nobody makes it anew");
}

#[tokio::test(start_paused = true)]
async fn losing_the_lease_ends_the_operator_within_its_time() {
    let operator = Operator::with_cluster().await;
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/penstock-operator";
    for verb in ["PUT", "GET"] {
        operator.server.hang(&format!("{verb} {lease}"));
    }
    let ended = tokio::time::timeout(crate::lease::LASTS, operator.task).await.expect("within its time");
    let error = ended.expect("no panic").expect_err("it is no success");
    assert!(error.to_string().contains("could not be renewed in time"), "{error:#}");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_replaced_by_another_of_its_name_is_one_cluster() {
    let operator = Operator::with_cluster().await;
    let server = &operator.server;
    let mut object = server.get(CLUSTER).unwrap();
    object["metadata"]["uid"] = json!(uuid::Uuid::from_u128(9 << 96).to_string());
    object["metadata"]["resourceVersion"] = serde_json::Value::Null;
    server.take_away(CLUSTER);
    server.put(CLUSTER, &object);
    // Nobody makes anew what is collected of the first one, or it would be in the way of the second for good.
    server.collect_garbage();
    let authority = "/api/v1/namespaces/shop/secrets/orders-clients-ca-00000009";
    operator.until(4 * SOON, "the second one", || server.get(AROUND[0].1).is_some()).await;
    let owner = &server.get(AROUND[0].1).unwrap()["metadata"]["ownerReferences"][0]["uid"];
    assert_eq!(*owner, object["metadata"]["uid"]);
    assert_eq!(operator.metrics.clusters.get(), 1);
    assert!(server.get(authority).is_some());
}
