//! Writing objects: one for each cluster, at the cluster's name.
//!
//! A look comes before each write, uncached, and the write names the version that was seen: of two writers that saw the
//! same one fails and looks again. An answer that gets lost is found out by the next look.

use std::fmt;

use agent::DispatchError;
use crd::{KafkaCluster, labels};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use model::{ClusterId, ClusterIntent};

use crate::object::{self, Verdict, Version};
use crate::request::{ATTEMPTS, Failure, once};
use crate::{Config, FIELD_MANAGER, Metrics, Read};

/// Objects of one cluster that are listed at most: there is one.
const MOST_OF_ONE_CLUSTER: u32 = 10;

/// Writes objects.
pub(crate) struct Publisher {
    objects: Api<KafkaCluster>,
    /// The same, for reading what may be no object by our schema.
    read: Api<Read>,
    config: Config,
    metrics: Metrics,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Publisher {
    pub(crate) fn new(client: Client, config: Config, metrics: Metrics) -> Publisher {
        let objects = Api::namespaced(client.clone(), &config.namespace);
        let read = Api::namespaced(client, &config.namespace);
        Publisher { objects, read, config, metrics }
    }

    /// Makes an object carry the intent.
    pub(crate) async fn publish(&self, intent: &ClusterIntent) -> Result<(), DispatchError> {
        let step = || {
            format!("could not publish KafkaCluster {} in namespace {}", intent.name, self.config.namespace)
        };
        self.repeat(step, || self.publish_once(intent)).await
    }

    async fn publish_once(&self, intent: &ClusterIntent) -> Result<Result<(), DispatchError>, Failure> {
        let there = once(&self.metrics, "get", self.read.get_opt(&intent.name)).await?;
        let version = match object::compare(intent, there.as_ref()) {
            Verdict::Published => return Ok(Ok(())),
            Verdict::Refuse(error) => return Ok(Err(error)),
            Verdict::Apply(version) => version,
        };
        let body = Patch::Apply(object::applied(intent, &self.config.placement, version.as_ref()));
        // Forced, since the fields of a published object are ours: whoever else set one of them edited it by hand.
        let apply = PatchParams::apply(FIELD_MANAGER).force();
        let apply = self.objects.patch(&intent.name, &apply, &body);
        once(&self.metrics, "apply", apply).await?;
        tracing::info!(
            cluster.id = %intent.cluster, cluster.name = %intent.name, generation = %intent.generation,
            "published KafkaCluster {} in namespace {}", intent.name, self.config.namespace
        );
        Ok(Ok(()))
    }

    /// Deletes the object of a cluster of which nothing is left.
    pub(crate) async fn withdraw(&self, cluster: ClusterId) -> Result<(), DispatchError> {
        let step = || {
            format!(
                "could not delete the KafkaCluster of cluster {cluster} in namespace {}",
                self.config.namespace
            )
        };
        self.repeat(step, || self.withdraw_once(cluster)).await
    }

    async fn withdraw_once(&self, cluster: ClusterId) -> Result<Result<(), DispatchError>, Failure> {
        let params = ListParams::default().labels(&labels::selector(cluster)).limit(MOST_OF_ONE_CLUSTER);
        let listed = once(&self.metrics, "list", self.read.list(&params)).await?;
        for read in listed.items {
            // What cannot be read, or is of somebody else, is not ours to delete.
            let Ok(object) = read.0 else { continue };
            let Some(Version { uid, resource_version }) = Version::of(&object) else { continue };
            if !object::carries(&object, cluster) {
                continue;
            }
            let name = object.metadata.name.clone().unwrap_or_default();
            // A status that cannot be understood does not say that everything is gone.
            let said = crd::state::read(&object).ok().flatten();
            if !object::is_removed(&object, said.as_ref()) {
                return Ok(Err(DispatchError::Refused {
                    message: format!(
                        "KafkaCluster {name} is not deleted: its status does not say that its brokers and data are gone, and they would go with it"
                    ),
                }));
            }
            let preconditions = Preconditions { uid: Some(uid), resource_version: Some(resource_version) };
            let params = DeleteParams::background().preconditions(preconditions);
            match once(&self.metrics, "delete", self.objects.delete(&name, &params)).await {
                Ok(_) => tracing::info!(cluster.id = %cluster, "deleted KafkaCluster {name}"),
                // Somebody was faster.
                Err(Failure::Absent(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(Ok(()))
    }

    /// Tries until it is done, refused, or not worth another attempt now.
    async fn repeat<F>(&self, step: impl Fn() -> String, attempt: impl Fn() -> F) -> Result<(), DispatchError>
    where
        F: Future<Output = Result<Result<(), DispatchError>, Failure>>,
    {
        let mut tried = 0;
        loop {
            let failure = match attempt().await {
                Ok(end) => return end,
                Err(failure) => failure,
            };
            tried += 1;
            match failure.pause(tried - 1) {
                Some(pause) if tried < ATTEMPTS => {
                    self.metrics.repeated();
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(failure.told(step())),
            }
        }
    }
}
