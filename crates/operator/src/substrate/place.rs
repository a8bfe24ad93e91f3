//! A broker's place: everything that its pod needs, made before the pod in an order in which each part knows what it
//! takes from the one before.

use std::sync::{Arc, PoisonError};

use agent::SubstrateError;
use agent::clock::System;
use crd::labels;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Service};
use kube::ResourceExt;
use model::BrokerId;
use model::action::BrokerSpec;
use model::certificate::Validity;

use super::Kubernetes;
use crate::authority;
use crate::build::{claim, config, secret, service};
use crate::clusters::Cluster;
use crate::error::Error;
use crate::valid::Valid;

/// What a pod needs and could only be made now.
pub(super) struct Prepared {
    /// The port of its service on every node.
    pub(super) node_port: u16,
    /// Certificate of the authority that signed its own.
    pub(super) cluster_ca: String,
    /// When its certificate is valid.
    pub(super) certificate: Validity,
}

impl Kubernetes {
    /// Makes everything that a pod needs: service, certificate, configuration, claim.
    pub(super) async fn prepare(
        &self,
        cluster: &Cluster,
        valid: &Valid,
        spec: &BrokerSpec,
    ) -> Result<Prepared, SubstrateError> {
        let (broker, pool) = (spec.broker, spec.pool.as_str());
        let ca = authority::of_brokers(&self.server, &self.caches, cluster).await?;
        let node_port = self.node_port(cluster, valid, broker, pool).await?;
        let addresses = node_addresses(&self.caches.nodes.loose());
        let now = System::now();
        let identity = authority::broker_identity(&ca, valid, broker, &addresses, now)?;
        let name = labels::broker_name(valid.name(), broker);
        let seen = self.caches.secrets.find(valid.id(), &name).is_some();
        self.server.apply(&secret::identity(valid, broker, pool, &identity), seen).await?;
        let seen = self.caches.configs.find(valid.id(), &name).is_some();
        self.server.apply(&config::build(valid, spec, node_port), seen).await?;
        let wanted = claim::build(valid, broker, pool, spec.storage, Some(node_port));
        if self.server.get::<PersistentVolumeClaim>(&valid.namespace, &wanted.name_any()).await?.is_none() {
            self.server.apply(&wanted, true).await?;
        }
        let certificate = Validity { from: now, until: identity.expires_at };
        Ok(Prepared { node_port, cluster_ca: ca.cert_pem().to_owned(), certificate })
    }

    /// The port of a broker's service on every node; the service is made if it is not there.
    pub(crate) async fn node_port(
        &self,
        cluster: &Cluster,
        valid: &Valid,
        broker: BrokerId,
        pool: &str,
    ) -> Result<u16, Error> {
        let name = labels::broker_name(valid.name(), broker);
        let cached = self.caches.services.find(valid.id(), &name);
        let claim =
            self.caches.claims.find(valid.id(), &labels::claim_name(valid.name(), valid.id(), broker));
        let seen = || {
            let sightings = cluster.sightings.lock().unwrap_or_else(PoisonError::into_inner);
            sightings.get(&broker)?.endpoint.as_ref().map(|endpoint| endpoint.port)
        };
        let before = cached.as_deref().and_then(service::node_port).or_else(seen);
        let before = before.or_else(|| claim.as_deref().and_then(claim::node_port));
        let wanted = service::broker(valid, broker, pool, before);
        let applied: Service = match self.server.apply(&wanted, cached.is_some()).await {
            Ok(applied) => applied,
            // The port that it had was given to somebody else; clients learn the new one.
            Err(error) if before.is_some() && cached.is_none() && is_port_taken(&error) => {
                self.server.apply(&service::broker(valid, broker, pool, None), false).await?
            }
            Err(error) => return Err(error),
        };
        let missing = || Error::Waiting(format!("Service {name} has no port on the nodes yet"));
        service::node_port(&applied).ok_or_else(missing)
    }
}

/// The addresses under which nodes are reached.
pub(crate) fn node_addresses(nodes: &[Arc<Node>]) -> Vec<String> {
    let addresses = nodes.iter().filter_map(|node| node.status.as_ref()?.addresses.as_ref()).flatten();
    let mut reachable: Vec<String> = addresses
        .filter(|address| matches!(address.type_.as_str(), "InternalIP" | "ExternalIP"))
        .map(|address| address.address.clone())
        .collect();
    reachable.sort();
    reachable.dedup();
    reachable
}

fn is_port_taken(error: &Error) -> bool {
    matches!(error, Error::Api { source, .. }
        if matches!(&**source, kube::Error::Api(status) if status.code == 422 && status.message.contains("allocated")))
}
