//! Fetching: everything that the operator reads in passing comes through these watches.
//!
//! An idle cluster therefore costs no request. Only objects with our own label are watched, so that nobody's secrets
//! but ours pass through here.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use crd::labels;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::{Api, Client, Resource, ResourceExt};
use model::ClusterId;
use serde::de::DeserializeOwned;

use crate::shelf::{Shelf, Touched};
use crate::watching::watch;

/// What was seen of the world.
#[derive(Clone, Debug, Default)]
pub struct Caches {
    /// Pods of brokers.
    pub pods: Shelf<Pod>,
    /// Claims of brokers.
    pub claims: Shelf<PersistentVolumeClaim>,
    /// Services of ours.
    pub services: Shelf<Service>,
    /// Secrets of ours.
    pub secrets: Shelf<Secret>,
    /// Config maps of ours; what is in them is only ever written.
    pub configs: Shelf<PartialObjectMeta<ConfigMap>>,
    /// Disruption budgets of ours.
    pub budgets: Shelf<PartialObjectMeta<PodDisruptionBudget>>,
    /// Network policies of ours.
    pub policies: Shelf<PartialObjectMeta<NetworkPolicy>>,
    /// All nodes.
    pub nodes: Shelf<Node>,
    /// All storage classes, by name only.
    pub classes: Shelf<PartialObjectMeta<StorageClass>>,
}

/// What happened, for whoever is to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something of this cluster changed.
    Cluster(ClusterId),
    /// Something changed that may concern any cluster.
    Every,
}

/// Who is told.
pub type Wake = Arc<dyn Fn(Woken) + Send + Sync>;

impl Caches {
    /// Watches until the future is dropped. `wake` is called after something was taken in.
    pub fn watch(&self, client: &Client, namespace: Option<&str>, wake: &Wake) -> BoxFuture<'static, ()> {
        let ours = format!("{}={}", labels::MANAGED_BY, labels::OPERATOR);
        let ours = Some(ours.as_str());
        let all = vec![
            each(&self.pods, namespaced(client, namespace), ours, wake),
            each(&self.claims, namespaced(client, namespace), ours, wake),
            each(&self.services, namespaced(client, namespace), ours, wake),
            each(&self.secrets, namespaced(client, namespace), ours, wake),
            each(&self.configs, namespaced(client, namespace), ours, wake),
            each(&self.budgets, namespaced(client, namespace), ours, wake),
            each(&self.policies, namespaced(client, namespace), ours, wake),
            each(&self.nodes, Api::all(client.clone()), None, wake),
            each(&self.classes, Api::all(client.clone()), None, wake),
        ];
        join_all(all).map(drop).boxed()
    }

    /// What has not been seen whole yet, by name.
    #[must_use]
    pub fn unfilled(&self) -> Vec<&'static str> {
        let filled = [
            (self.pods.is_filled(), "pods"),
            (self.claims.is_filled(), "persistentvolumeclaims"),
            (self.services.is_filled(), "services"),
            (self.secrets.is_filled(), "secrets"),
            (self.configs.is_filled(), "configmaps"),
            (self.budgets.is_filled(), "poddisruptionbudgets"),
            (self.policies.is_filled(), "networkpolicies"),
            (self.nodes.is_filled(), "nodes"),
            (self.classes.is_filled(), "storageclasses"),
        ];
        filled.iter().filter(|(filled, _)| !filled).map(|(_, name)| *name).collect()
    }

    /// What is wrong with the watches without which nothing can be said about a broker.
    #[must_use]
    pub fn trouble(&self) -> Vec<String> {
        let troubles = [
            ("pods", self.pods.trouble()),
            ("claims", self.claims.trouble()),
            ("secrets", self.secrets.trouble()),
            ("services", self.services.trouble()),
            ("nodes", self.nodes.trouble()),
        ];
        let named =
            |(kind, trouble): (&str, Option<String>)| Some(format!("{kind} cannot be watched: {}", trouble?));
        troubles.into_iter().filter_map(named).collect()
    }

    /// All nodes, by name.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<String, Arc<Node>> {
        self.nodes.loose().into_iter().map(|node| (node.name_any(), node)).collect()
    }

    /// Whether anything of a cluster is there.
    #[must_use]
    pub fn has_any_of(&self, cluster: ClusterId) -> bool {
        !self.pods.of(cluster).is_empty()
            || !self.claims.of(cluster).is_empty()
            || !self.services.of(cluster).is_empty()
            || !self.secrets.of(cluster).is_empty()
            || !self.configs.of(cluster).is_empty()
            || !self.budgets.of(cluster).is_empty()
            || !self.policies.of(cluster).is_empty()
    }
}

/// Where objects of a kind are that a client asks for: in one namespace, or in all.
pub fn namespaced<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn each<K>(shelf: &Shelf<K>, api: Api<K>, labels: Option<&str>, wake: &Wake) -> BoxFuture<'static, ()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (shelf, wake) = (shelf.clone(), Arc::clone(wake));
    // Half of a small object is the record of who owns which field.
    let events = watch(api, labels).modify(|object| object.managed_fields_mut().clear());
    events
        .for_each(move |event| {
            tell(&shelf.take(event), &K::plural(&()), &wake);
            std::future::ready(())
        })
        .boxed()
}

fn tell(touched: &Touched, kind: &str, wake: &Wake) {
    if let Some(trouble) = &touched.trouble {
        tracing::warn!(
            "{kind} cannot be watched, and nothing is decided about what they would show: {trouble}"
        );
    }
    if touched.all {
        wake(Woken::Every);
    }
    for cluster in &touched.clusters {
        wake(Woken::Cluster(*cluster));
    }
}
