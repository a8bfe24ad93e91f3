//! Which object speaks for which cluster: taking a cluster up, and leaving it when its object is gone.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use agent::DispatchError;
use crd::{KafkaCluster, intent, labels};
use keyring::pki::Ca;
use kube::ResourceExt;
use kube::runtime::controller;
use model::{ClusterId, ClusterIntent, Lifecycle};

use super::Context;
use crate::authority;
use crate::clusters::Cluster;
use crate::error::Error;
use crate::status;
use crate::valid::{Valid, validate};

/// What is remembered of an object.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    cluster: Option<ClusterId>,
    /// Its object was found gone, and its agent is being ended.
    is_leaving: bool,
    pub(super) failures: u32,
    /// The reasons that were told last, so that a status which could not be written is not told twice.
    pub(super) told: Vec<status::News>,
}

/// A cluster that is followed.
pub(super) struct Following {
    /// What it is validated to.
    pub(super) valid: Arc<Valid>,
    /// The cluster.
    pub(super) cluster: Arc<Cluster>,
    /// Our authority for its clients, where we have one.
    pub(super) clients: Option<Ca>,
}

/// Validates an object and hands its intent to the agent.
pub(super) async fn follow(object: &KafkaCluster, context: &Context) -> Result<Following, Error> {
    let kubernetes = &context.kubernetes;
    let id = intent::cluster_id(object)?;
    // An object that was replaced by another of its name, which may have happened between two passes.
    if let Some(before) = followed_as(context, object).filter(|before| *before != id) {
        leave(context, before).await;
    }
    claim_id(context, object, id)?;
    // Once without our authority for clients, to know whether one is needed.
    let first = validate(object, None)?;
    let cluster = kubernetes.clusters.get(id).unwrap_or_else(|| kubernetes.clusters.put(first.clone()));
    let is_needed =
        first.own_clients && !matches!(first.intent.lifecycle, Lifecycle::Remove | Lifecycle::Pause);
    let clients = match is_needed {
        true => Some(authority::of_clients(&kubernetes.server, &kubernetes.caches, &cluster, &first).await?),
        false => cluster.known_authority(&labels::clients_ca_name(first.name(), id)),
    };
    let valid = validate(object, clients.as_ref().map(Ca::cert_pem))?;
    let intent = valid.intent.clone();
    let cluster = kubernetes.clusters.put(valid);
    kubernetes.metrics.clusters.set(i64::try_from(kubernetes.clusters.count()).unwrap_or(i64::MAX));
    hand_over(context, &intent).await?;
    cluster.changed.notify_one();
    Ok(Following { valid: cluster.valid(), cluster, clients })
}

async fn hand_over(context: &Context, intent: &ClusterIntent) -> Result<(), Error> {
    match context.fleet.follow(intent, |_| Ok(())).await {
        Ok(()) => Ok(()),
        // The object is the truth here: a new authority for clients changes the intent without a new generation, and
        // an object that was deleted and made again begins anew. The agent loses no more than its memory.
        Err(DispatchError::Different { cluster, .. } | DispatchError::Superseded { cluster, .. }) => {
            let _ = context.fleet.leave(cluster, || Ok(())).await;
            let followed = context.fleet.follow(intent, |_| Ok(())).await;
            followed.map_err(|error| Error::Waiting(error.to_string()))
        }
        Err(error) => Err(Error::Waiting(error.to_string())),
    }
}

/// Sees to it that one object speaks for a cluster: two with the same id would fight over its brokers.
fn claim_id(context: &Context, object: &KafkaCluster, id: ClusterId) -> Result<(), Error> {
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    let mut objects = context.objects.lock().unwrap_or_else(PoisonError::into_inner);
    let other = objects.iter().find(|(other, followed)| **other != key && followed.cluster == Some(id));
    if let Some(((namespace, name), _)) = other {
        let sentence = format!(
            "cluster {id} is spoken for by KafkaCluster {namespace}/{name}; give this one another clusterId, or delete \
             that one (its claims stay) and then its data can be taken up here"
        );
        return Err(Error::Spec(intent::Invalid { problems: vec![sentence] }));
    }
    let followed = objects.entry(key).or_default();
    if followed.is_leaving {
        return Err(Error::Waiting("the cluster that had this name before is being left".to_owned()));
    }
    followed.cluster = Some(id);
    Ok(())
}

pub(super) fn followed_as(context: &Context, object: &KafkaCluster) -> Option<ClusterId> {
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    context.objects.lock().unwrap_or_else(PoisonError::into_inner).get(&key)?.cluster
}

/// Ends following a cluster whose object was found gone.
pub(super) async fn leave_gone(context: &Context, failure: Option<controller::Error<Error, Infallible>>) {
    let Some(controller::Error::ObjectNotFound(gone)) = failure else { return };
    let key = (gone.namespace.clone().unwrap_or_default(), gone.name.clone());
    let followed = {
        let mut objects = context.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get_mut(&key).and_then(|followed| {
            // Whoever comes with this name meanwhile waits until the one before is left.
            followed.is_leaving = true;
            followed.cluster
        })
    };
    if let Some(cluster) = followed {
        tracing::info!(
            cluster.id = %cluster,
            "KafkaCluster {}/{} is gone; it is not followed any more", key.0, key.1
        );
        leave(context, cluster).await;
    }
    context.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
}

pub(super) async fn leave(context: &Context, cluster: ClusterId) {
    // Nothing is stored that could fail to be forgotten.
    let _ = context.fleet.leave(cluster, || Ok(())).await;
    context.kubernetes.clusters.remove(cluster);
    context.applied.forget(cluster);
    context
        .kubernetes
        .metrics
        .clusters
        .set(i64::try_from(context.kubernetes.clusters.count()).unwrap_or(i64::MAX));
}
