//! Deleting what belongs to a cluster: brokers with their data first, what is left of the cluster last.
//!
//! What there is to delete is found through the caches; each object is read anew before it goes.

use std::sync::PoisonError;

use agent::{Performed, SubstrateError};
use crd::labels;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Resource, ResourceExt};
use model::BrokerId;

use super::{Kubernetes, pod_like};
use crate::apply::{Kind, same_cluster};
use crate::clusters::Cluster;
use crate::error::Error;
use crate::observe;
use crate::shelf::Shelf;
use crate::valid::Valid;

impl Kubernetes {
    pub(super) async fn remove_broker(
        &self,
        cluster: &Cluster,
        broker: BrokerId,
    ) -> Result<Performed, SubstrateError> {
        let valid = cluster.valid();
        let name = labels::broker_name(valid.name(), broker);
        let there: Option<Pod> = self.server.get(&valid.namespace, &name).await?;
        if let Some(there) = there.filter(|pod| same_cluster(&pod_like(&valid, &name), pod, "Pod").is_ok()) {
            if !observe::is_over(&there) && observe::running_since(&there).is_some() {
                let step = format!("could not delete the data of broker {broker}");
                return Err(SubstrateError::transient(step, "its pod still runs"));
            }
            self.server.delete(&there).await?;
            self.gone(&valid, &there).await?;
        }
        let claims = self.caches.claims.of(valid.id());
        for claim in claims.iter().filter(|claim| observe::node_id(&***claim) == Some(broker)) {
            self.delete_anew::<PersistentVolumeClaim>(&valid, &claim.name_any()).await?;
        }
        self.delete_anew::<Service>(&valid, &name).await?;
        self.delete_anew::<Secret>(&valid, &name).await?;
        self.delete_anew::<ConfigMap>(&valid, &name).await?;
        cluster.sightings.lock().unwrap_or_else(PoisonError::into_inner).remove(&broker);
        Ok(Performed::Done)
    }

    pub(super) async fn remove_rest(&self, cluster: &Cluster) -> Result<Performed, SubstrateError> {
        let valid = cluster.valid();
        self.delete_all::<Service, _>(&valid, &self.caches.services).await?;
        self.delete_all::<ConfigMap, _>(&valid, &self.caches.configs).await?;
        self.delete_all::<PodDisruptionBudget, _>(&valid, &self.caches.budgets).await?;
        self.delete_all::<NetworkPolicy, _>(&valid, &self.caches.policies).await?;
        // The authorities last: while one is there, the cluster is.
        self.delete_all::<Secret, _>(&valid, &self.caches.secrets).await?;
        cluster.authorities.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(Performed::Done)
    }

    /// Deletes everything of a kind that belongs to the cluster. A cache may hold no more of it than the metadata.
    async fn delete_all<K: Kind, S: Resource>(&self, valid: &Valid, shelf: &Shelf<S>) -> Result<(), Error> {
        for object in shelf.of(valid.id()) {
            self.delete_anew::<K>(valid, &object.name_any()).await?;
        }
        Ok(())
    }

    /// Deletes an object of the cluster as it is now, not as a cache shows it.
    async fn delete_anew<K: Kind>(&self, valid: &Valid, name: &str) -> Result<(), Error> {
        match self.server.get::<K>(&valid.namespace, name).await? {
            Some(there) if crate::shelf::cluster_of(&there) == Some(valid.id()) => {
                self.server.delete(&there).await
            }
            _ => Ok(()),
        }
    }
}
