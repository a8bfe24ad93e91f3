//! Seam A over Kubernetes: an intent becomes a `KafkaCluster` object, and what the operator says in its status comes
//! back.
//!
//! - [`connect`] finds the API server and makes sure, before anything starts, that it has the custom resource and lets
//!   us do what we need;
//! - [`publish`] applies and deletes objects; what an object that is already there means for that is decided in
//!   [`object`], which is pure;
//! - [`follow`] watches the objects and puts what they say up on an [`agent::Board`];
//! - [`request`] is how one request is made: bounded, and its failures sorted by what helps.
//!
//! Whoever wants to follow the code begins at [`Kubernetes`].
//!
//! Invariants:
//! - All writes are server-side applies by one field manager, except for the deletion of an object whose data is gone.
//! - An object that this platform did not publish is never changed and never deleted. What is compared is the
//!   cluster's id, which the API server lets nobody change; so two writers of one name cannot both win either.
//! - Nothing is deleted unless the object itself asks for removal *and* its status says that nothing is left.
//! - An intent is stored when [`Dispatch::publish`] returns: it lies in etcd, and the operator follows it without us.
//!
//! What it deliberately does not know: what an operator does with an object, who may ask for a cluster, and Postgres.

mod connect;
mod follow;
mod metrics;
mod object;
mod publish;
mod request;
#[cfg(test)]
mod tests;

use agent::{Board, Dispatch, DispatchError};
use crd::{KafkaCluster, labels};
use futures_util::Stream;
use kube::{Api, Client};
use model::{ClusterId, ClusterIntent, ClusterStatus};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use connect::{ConnectError, Connection, Source};
pub use crd::intent::Placement;
pub use metrics::Metrics;

use publish::Publisher;

/// Under which the fields of published objects are owned, and the value of their label `managed-by`.
pub const FIELD_MANAGER: &str = "penstock";

/// Where objects are published and how they are made.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace of all objects.
    pub namespace: String,
    /// What objects say and intents do not.
    pub placement: Placement,
}

/// The dispatch.
#[derive(Debug)]
pub struct Kubernetes {
    publisher: Publisher,
    board: Board,
    stop: CancellationToken,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl Kubernetes {
    /// Begins to follow the objects in the namespace. To be called in a tokio runtime.
    #[must_use]
    pub fn start(client: Client, config: Config, metrics: Metrics) -> Kubernetes {
        let board = Board::default();
        let stop = CancellationToken::new();
        let watched = Api::namespaced(client.clone(), &config.namespace);
        let follow = follow::run(watched, board.clone(), metrics.clone());
        let stopped = stop.clone();
        let follower = tokio::spawn(async move {
            // Nothing is lost by being cut off anywhere: the next one lists everything again.
            stopped.run_until_cancelled(follow).await;
        });
        let publisher = Publisher::new(client, config, metrics);
        Kubernetes { publisher, board, stop, follower: Mutex::new(Some(follower)) }
    }

    /// Ends following. Clusters go on; the next server follows them again.
    pub async fn stop(&self) {
        self.stop.cancel();
        if let Some(follower) = self.follower.lock().await.take()
            && let Err(error) = follower.await
        {
            tracing::error!("following the KafkaCluster objects failed: {error}");
        }
    }
}

impl Dispatch for Kubernetes {
    async fn publish(&self, intent: &ClusterIntent) -> Result<(), DispatchError> {
        self.publisher.publish(intent).await
    }

    /// Deletes the object of a cluster of which nothing is left. One that still has brokers is refused rather than
    /// left to itself: with its object its pods would go.
    async fn withdraw(&self, cluster: ClusterId) -> Result<(), DispatchError> {
        self.publisher.withdraw(cluster).await?;
        self.board.remove(cluster);
        Ok(())
    }

    fn statuses(&self) -> impl Stream<Item = ClusterStatus> + Send {
        self.board.follow()
    }
}

/// Selects what this platform published.
fn published() -> String {
    format!("{}={FIELD_MANAGER}", labels::MANAGED_BY)
}

/// An object as it was read: also one that is none by our schema, whose name is then still known.
type Read = kube::core::DeserializeGuard<KafkaCluster>;
