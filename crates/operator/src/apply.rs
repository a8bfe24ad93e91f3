//! Requests to the API server that change something, and the reads that they need.
//!
//! Server-side apply with one field manager: what we state is ours, what others add stays. An object is only applied
//! over one that belongs to the same cluster; a deletion names the very object that was read.

use std::fmt::Debug;
use std::sync::Arc;

use crd::labels;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::shelf::cluster_of;

/// Requests that are under way at the same time. The API server's own default for one client is far above; this bounds
/// what a restart with thousands of clusters asks of it at once.
pub const MAX_REQUESTS: usize = 16;

/// What our kinds have in common.
pub trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Kind for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// The API server, as far as we ask it.
#[derive(Clone)]
pub struct Server {
    client: Client,
    requests: Arc<Semaphore>,
}

impl Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// Talks to it through this client.
    #[must_use]
    pub fn new(client: Client) -> Server {
        Server { client, requests: Arc::new(Semaphore::new(MAX_REQUESTS)) }
    }

    /// The client, for watches.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads an object anew; none if there is none.
    ///
    /// # Errors
    /// If the server could not be asked.
    pub async fn get<K: Kind>(&self, namespace: &str, name: &str) -> Result<Option<K>, Error> {
        let _turn = self.requests.acquire().await;
        let read = self.api::<K>(namespace).get_opt(name).await;
        read.map_err(|error| Error::api(format!("read {} {name}", K::kind(&())), error))
    }

    /// Applies an object. `seen` says that it was seen before as ours; otherwise it is looked for first, so that nothing
    /// that belongs to somebody else is taken over.
    ///
    /// # Errors
    /// If the name is taken by somebody else or the server refuses.
    pub async fn apply<K: Kind>(&self, wanted: &K, seen: bool) -> Result<K, Error> {
        let (namespace, name) = (wanted.namespace().unwrap_or_default(), wanted.name_any());
        let api = self.api::<K>(&namespace);
        let _turn = self.requests.acquire().await;
        if !seen {
            let read: Result<Option<PartialObjectMeta<K>>, _> = api.get_metadata_opt(&name).await;
            let there = read.map_err(|error| Error::api(format!("read {} {name}", K::kind(&())), error))?;
            if let Some(there) = there {
                same_cluster(wanted, &there, &K::kind(&()))?;
            }
        }
        let ours = PatchParams::apply(labels::OPERATOR).force();
        let applied = api.patch(&name, &ours, &Patch::Apply(wanted)).await;
        applied.map_err(|error| Error::api(format!("apply {} {name}", K::kind(&())), error))
    }

    /// Makes an object that must not exist yet; none if it does.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn create<K: Kind>(&self, wanted: &K) -> Result<Option<K>, Error> {
        let (namespace, name) = (wanted.namespace().unwrap_or_default(), wanted.name_any());
        let ours = PostParams { field_manager: Some(labels::OPERATOR.to_owned()), dry_run: false };
        let _turn = self.requests.acquire().await;
        match self.api::<K>(&namespace).create(&ours, wanted).await {
            Ok(created) => Ok(Some(created)),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
            Err(error) => Err(Error::api(format!("create {} {name}", K::kind(&())), error)),
        }
    }

    /// Deletes exactly the object that was read; one that changed since, or is another by now, stays. That it is gone
    /// already is no failure.
    ///
    /// # Errors
    /// If it changed since it was read, or the server refuses.
    pub async fn delete<K: Kind>(&self, read: &K) -> Result<(), Error> {
        let (namespace, name) = (read.namespace().unwrap_or_default(), read.name_any());
        let preconditions = Preconditions { uid: read.uid(), resource_version: read.resource_version() };
        let params = DeleteParams::background().preconditions(preconditions);
        let _turn = self.requests.acquire().await;
        match self.api::<K>(&namespace).delete(&name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(Error::api(format!("delete {} {name}", K::kind(&())), error)),
        }
    }

    /// Writes the status of an object.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn apply_status<K: Kind>(&self, object: &K, status: serde_json::Value) -> Result<(), Error> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let patch = serde_json::json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // The very object: a status must not land on another of the same name.
            "metadata": { "name": name, "uid": object.uid() },
            "status": status,
        });
        let ours = PatchParams::apply(labels::OPERATOR).force();
        let _turn = self.requests.acquire().await;
        let patched = self.api::<K>(&namespace).patch_status(&name, &ours, &Patch::Apply(&patch)).await;
        match patched {
            // It was written; that the rest of the object cannot be read may be just what the status says.
            Ok(_) | Err(kube::Error::SerdeError(_)) => Ok(()),
            Err(error) => Err(Error::api(format!("write the status of {} {name}", K::kind(&())), error)),
        }
    }

    fn api<K: Kind>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Refuses to touch what belongs to somebody else.
///
/// # Errors
/// If it does.
pub fn same_cluster<W: Resource, T: Resource>(wanted: &W, there: &T, kind: &str) -> Result<(), Error> {
    let ours = cluster_of(wanted);
    if ours.is_some() && cluster_of(there) == ours {
        return Ok(());
    }
    // Somebody took the label off: the cluster's object still owns it.
    let uids = |references: &[OwnerReference]| -> Vec<String> {
        references.iter().map(|reference| reference.uid.clone()).collect()
    };
    let (mine, theirs) = (uids(wanted.owner_references()), uids(there.owner_references()));
    if !mine.is_empty() && mine == theirs {
        return Ok(());
    }
    let passes = cluster_of(there).is_some() || there.meta().deletion_timestamp.is_some();
    let advice = match passes {
        true => "it is what is left of another cluster of that name, and is waited for until it is gone",
        false => "delete it, or give the cluster another name",
    };
    Err(Error::Foreign { what: format!("{kind} {}", there.name_any()), advice, passes })
}
