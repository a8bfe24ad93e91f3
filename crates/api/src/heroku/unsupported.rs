//! Commands of the plugin that a cluster of ours cannot follow yet, or never will: a clear sentence instead of a 404
//! that reads as if the cluster were missing.

use axum::Router;
use axum::extract::State;
use axum::routing::{post, put};
use control::Control;

use super::{CLUSTER, Cluster};
use crate::problem::{Problem, registry};
use crate::request::caller::Authenticated;

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(&format!("{CLUSTER}/rotate-credentials"), post(rotate_credentials))
        .route(&format!("{CLUSTER}/induce-failure"), post(induce_failure))
        .route(&format!("{CLUSTER}/upgrade"), put(upgrade))
        .route(&format!("{CLUSTER}/zookeeper"), post(zookeeper))
}

async fn rotate_credentials(control: State<Control>, caller: Authenticated, cluster: Cluster) -> Problem {
    refuse(control, caller, cluster, "credentials are made and revoked one by one: see penstock credentials")
        .await
}

async fn induce_failure(control: State<Control>, caller: Authenticated, cluster: Cluster) -> Problem {
    refuse(control, caller, cluster, "failure drills are not offered on this platform yet").await
}

async fn upgrade(control: State<Control>, caller: Authenticated, cluster: Cluster) -> Problem {
    refuse(
        control,
        caller,
        cluster,
        "the platform keeps clusters on its current release; there is nothing to upgrade",
    )
    .await
}

async fn zookeeper(control: State<Control>, caller: Authenticated, cluster: Cluster) -> Problem {
    refuse(control, caller, cluster, "there is no ZooKeeper: brokers keep their own metadata").await
}

/// A cluster that is not the caller's is missing here as everywhere.
async fn refuse(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    Cluster(cluster): Cluster,
    sentence: &str,
) -> Problem {
    match control.resource(&caller, &cluster).await {
        Ok(_) => Problem::new(&registry::UNSUPPORTED, sentence.to_owned()),
        Err(problem) => problem.into(),
    }
}
