//! Upkeep: what is put right in any order and at any time, because it disturbs no broker: services, the disruption
//! budget, the network policy, the client's secret, configuration and certificates that somebody deleted, claims that
//! are to grow. What has an order is the machine's.
//!
//! An object is applied when it is missing, when we want something else than before, and when somebody changed it since;
//! otherwise upkeep costs no request.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crd::labels;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use keyring::pki::{self, Ca};
use kube::{Resource, ResourceExt};
use model::status::Endpoint;
use model::{Bytes, ClusterId, Lifecycle, Timestamp};
use planner::certificates;
use sha2::{Digest, Sha256};

use crate::apply::Kind;
use crate::authority;
use crate::build::{budget, claim, config, network, secret, service};
use crate::clusters::Cluster;
use crate::error::Error;
use crate::shelf::Shelf;
use crate::substrate::Kubernetes;
use crate::substrate::place::node_addresses;
use crate::valid::Valid;

/// What was applied, so that it need not be applied again.
#[derive(Debug, Default)]
pub struct Applied {
    objects: Mutex<BTreeMap<ClusterId, BTreeMap<String, Mark>>>,
}

/// How an object was when it was applied last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    digest: [u8; 32],
    resource_version: Option<String>,
}

impl Applied {
    /// Forgets a cluster.
    pub fn forget(&self, cluster: ClusterId) {
        self.lock().remove(&cluster);
    }

    fn is_current(&self, cluster: ClusterId, object: &str, mark: &Mark) -> bool {
        self.lock().get(&cluster).and_then(|objects| objects.get(object)) == Some(mark)
    }

    fn note(&self, cluster: ClusterId, object: String, mark: Mark) {
        self.lock().entry(cluster).or_default().insert(object, mark);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ClusterId, BTreeMap<String, Mark>>> {
        // Losing an entry costs one request.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts everything right. `clients` is our authority for clients, where we have one; `brokers` is where clients start,
/// once that is known.
///
/// # Errors
/// With the first thing that could not be done. The others are attempted all the same.
pub async fn keep(
    kubernetes: &Kubernetes,
    applied: &Applied,
    cluster: &Cluster,
    clients: Option<&Ca>,
    brokers: &[Endpoint],
    now: Timestamp,
) -> Result<(), Error> {
    let valid = cluster.valid();
    if !matches!(valid.intent.lifecycle, Lifecycle::Run | Lifecycle::Stop) {
        return Ok(());
    }
    let caches = &kubernetes.caches;
    let mut first = Ok(());
    let mut note = |outcome: Result<(), Error>| {
        if first.is_ok() {
            first = outcome;
        }
    };
    let shared = Keeper { kubernetes, applied, cluster: valid.id() };
    note(shared.keep(&service::bootstrap(&valid), &caches.services).await);
    note(shared.keep(&budget::build(&valid), &caches.budgets).await);
    note(shared.keep(&network::build(&valid), &caches.policies).await);
    if let (Some(ca), false) = (clients, brokers.is_empty()) {
        note(client(&shared, cluster, &valid, ca, brokers, now).await);
    }
    for (broker, pool) in valid.intent.brokers() {
        let name = labels::broker_name(valid.name(), broker);
        let claim_name = labels::claim_name(valid.name(), valid.id(), broker);
        let Some(claim) = caches.claims.find(valid.id(), &claim_name) else {
            // It was never started: starting makes everything it needs, in order.
            continue;
        };
        let service = caches.services.find(valid.id(), &name);
        let node_port = service.as_deref().and_then(service::node_port).or(claim::node_port(&claim));
        if let Some(storage) = to_claim(&valid, &claim, pool.storage, node_port) {
            let wanted = claim::build(&valid, broker, &pool.name, storage, node_port);
            note(shared.keep(&wanted, &caches.claims).await);
        }
        if service.is_none() {
            note(kubernetes.node_port(cluster, &valid, broker, &pool.name).await.map(drop));
        }
        // Configuration and certificate are those of the broker's next start; writing them while it runs would let it
        // come back as something else after a crash. Only what is missing is put back.
        if caches.secrets.find(valid.id(), &name).is_none() {
            note(identity(kubernetes, cluster, &valid, broker, &pool.name, now).await);
        }
        if caches.configs.find(valid.id(), &name).is_none() {
            let spec = broker_spec(&valid, broker);
            if let (Some(spec), Some(port)) = (spec, service.as_deref().and_then(service::node_port)) {
                note(kubernetes.server.apply(&config::build(&valid, &spec, port), false).await.map(drop));
            }
        }
    }
    first
}

struct Keeper<'a> {
    kubernetes: &'a Kubernetes,
    applied: &'a Applied,
    cluster: ClusterId,
}

impl Keeper<'_> {
    /// Applies an object unless it is as it was when it was applied last.
    async fn keep<K: Kind, S: Resource>(&self, wanted: &K, shelf: &Shelf<S>) -> Result<(), Error> {
        let name = wanted.name_any();
        let key = format!("{} {name}", K::kind(&()));
        let cached = shelf.find(self.cluster, &name);
        let version = cached.as_ref().and_then(|it| it.meta().resource_version.clone());
        let digest = digest(wanted);
        let is_current = cached.is_some()
            && self.applied.is_current(self.cluster, &key, &Mark { digest, resource_version: version });
        if is_current {
            return Ok(());
        }
        let applied = self.kubernetes.server.apply(wanted, cached.is_some()).await?;
        self.applied.note(self.cluster, key, Mark { digest, resource_version: applied.resource_version() });
        Ok(())
    }
}

/// The secret with all that a client needs. Its certificate stays as long as the secret does, unless it ends before long
/// or its authority is gone.
async fn client(
    keeper: &Keeper<'_>,
    cluster: &Cluster,
    valid: &Valid,
    ca: &Ca,
    brokers: &[Endpoint],
    now: Timestamp,
) -> Result<(), Error> {
    let kubernetes = keeper.kubernetes;
    let cluster_ca = authority::of_brokers(&kubernetes.server, &kubernetes.caches, cluster).await?;
    let cached = kubernetes.caches.secrets.find(valid.id(), &labels::client_name(valid.name()));
    let serves = |files: &secret::ClientFiles| {
        let validity = pki::validity(&files.certificate);
        ca.has_signed(&files.certificate) && validity.is_ok_and(|it| !certificates::is_due(it, now))
    };
    let files = match cached.as_deref().and_then(secret::read_client).filter(serves) {
        Some(files) => files,
        None => authority::client_identity(ca, valid, now)?,
    };
    let wanted = secret::client(valid, brokers, cluster_ca.cert_pem(), &files);
    keeper.keep(&wanted, &kubernetes.caches.secrets).await
}

async fn identity(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    valid: &Valid,
    broker: model::BrokerId,
    pool: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let ca = authority::of_brokers(&kubernetes.server, &kubernetes.caches, cluster).await?;
    let addresses = node_addresses(&kubernetes.caches.nodes.loose());
    let identity = authority::broker_identity(&ca, valid, broker, &addresses, now)?;
    kubernetes.server.apply(&secret::identity(valid, broker, pool, &identity), false).await.map(drop)
}

/// What a claim is to ask for, if it is to be applied at all: it should be larger, remember another port, or go or stay
/// with the cluster's object. One that asks for more than is wanted keeps that: claims do not shrink.
fn to_claim(
    valid: &Valid,
    claim: &PersistentVolumeClaim,
    wanted: Bytes,
    node_port: Option<u16>,
) -> Option<Bytes> {
    let asked = claim::asked(claim)?;
    let differs =
        asked < wanted || claim::node_port(claim) != node_port || !authority::lasts_as_wanted(claim, valid);
    differs.then_some(asked.max(wanted))
}

/// What a broker is made from, as the machine says it.
fn broker_spec(valid: &Valid, broker: model::BrokerId) -> Option<model::action::BrokerSpec> {
    let (_, pool) = valid.intent.brokers().find(|(id, _)| *id == broker)?;
    Some(planner::spec::of(&valid.intent, broker, pool))
}

fn digest<K: Kind>(wanted: &K) -> [u8; 32] {
    // Our own objects have string keys and finite numbers; should one not serialise, it is applied every time.
    let text = serde_json::to_vec(wanted).unwrap_or_default();
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_grow_and_never_shrink() {
        let valid = crate::tests::fixture::valid();
        let mut claim = claim::build(&valid, model::BrokerId(0), "brokers", Bytes::gib(2), Some(31_092));
        let to_claim = |claim: &_, gib| to_claim(&valid, claim, Bytes::gib(gib), Some(31_092));
        assert_eq!(to_claim(&claim, 3), Some(Bytes::gib(3)));
        assert_eq!(to_claim(&claim, 2), None);
        assert_eq!(to_claim(&claim, 1), None);
        claim.spec = None;
        assert_eq!(to_claim(&claim, 3), None);
    }

    #[test]
    fn a_claim_learns_its_port_and_whether_it_stays_without_asking_for_less() {
        let (stays, goes) = (
            crate::tests::fixture::valid(),
            crate::tests::fixture::valid_with(&serde_json::json!({ "deletion": "Delete" })),
        );
        let claim = |valid| claim::build(valid, model::BrokerId(0), "brokers", Bytes::gib(2), None);
        let to_claim = |valid, claim: &_, port| to_claim(valid, claim, Bytes::gib(1), port);
        assert_eq!(to_claim(&stays, &claim(&stays), None), None);
        assert_eq!(to_claim(&stays, &claim(&stays), Some(31_092)), Some(Bytes::gib(2)));
        assert_eq!(to_claim(&stays, &claim(&goes), None), Some(Bytes::gib(2)));
        assert_eq!(to_claim(&goes, &claim(&stays), None), Some(Bytes::gib(2)));
    }
}
