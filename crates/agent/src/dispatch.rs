//! Seam A: from the platform to the agents and back.
//!
//! The platform publishes what is wanted and reads what is said about it; it never tells an agent what to do. Both
//! directions may repeat and both may be cut: publishing the same intent twice changes nothing, an older intent is
//! refused, and a status replaces the one before it.

use std::future::Future;
use std::sync::Arc;

use futures_util::Stream;
use model::{ClusterId, ClusterIntent, ClusterStatus, Generation};
use thiserror::Error;

/// An intent could not be handed over.
#[derive(Debug, Error)]
pub enum DispatchError {
    /// The agent already follows a newer intent. Trying again will not help; whoever publishes has an old view.
    #[error("cluster {cluster} already follows generation {current}; generation {offered} is refused")]
    Superseded {
        /// Which cluster.
        cluster: ClusterId,
        /// What its agent follows.
        current: Generation,
        /// What was offered.
        offered: Generation,
    },
    /// The same generation was published before with another content. Intents are immutable, so one of them is wrong.
    #[error("cluster {cluster} already follows another intent of generation {generation}")]
    Different {
        /// Which cluster.
        cluster: ClusterId,
        /// The generation that exists twice.
        generation: Generation,
    },
    /// The intent cannot be handed over until somebody changes something outside: a name is taken, a right is missing.
    /// Trying again now and then finds out when it was done.
    #[error("{message}")]
    Refused {
        /// What is in the way and what to do, as a sentence.
        message: String,
    },
    /// The agent could not be reached or could not store the intent. Trying again may help.
    #[error("{step}")]
    Unavailable {
        /// What was being done, as a sentence.
        step: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// How intents reach agents and statuses come back.
pub trait Dispatch: Send + Sync {
    /// Makes the agent of the intent's cluster follow it from now on. When this returns without an error the intent
    /// is stored: it is followed even if the platform goes away this instant. Idempotent.
    fn publish(&self, intent: &ClusterIntent) -> impl Future<Output = Result<(), DispatchError>> + Send;

    /// Ends following a cluster. To be called after its status said that it is removed; a cluster that still has
    /// brokers keeps them, unattended. Idempotent.
    fn withdraw(&self, cluster: ClusterId) -> impl Future<Output = Result<(), DispatchError>> + Send;

    /// The current status of every cluster first, then each change of one. A reader that is slow sees the newest
    /// status of each cluster, not every one in between. One that [is lost](ClusterStatus::is_lost) says that the
    /// intent of its cluster got lost and must be published again. Ends only when the agents end.
    fn statuses(&self) -> impl Stream<Item = ClusterStatus> + Send;
}

/// A shared dispatch is one.
impl<D: Dispatch> Dispatch for Arc<D> {
    fn publish(&self, intent: &ClusterIntent) -> impl Future<Output = Result<(), DispatchError>> + Send {
        D::publish(self, intent)
    }

    fn withdraw(&self, cluster: ClusterId) -> impl Future<Output = Result<(), DispatchError>> + Send {
        D::withdraw(self, cluster)
    }

    fn statuses(&self) -> impl Stream<Item = ClusterStatus> + Send {
        D::statuses(self)
    }
}
