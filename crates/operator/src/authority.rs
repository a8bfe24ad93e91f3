//! The two authorities of a cluster, each kept in a secret: one signs the brokers' certificates and is always ours, the
//! other signs those of clients and is ours only where nobody else hands them out.

use agent::clock::System;
use crd::labels;
use k8s_openapi::api::core::v1::Secret;
use keyring::pki::{Ca, Identity};
use kube::{Resource, ResourceExt};
use model::{BrokerId, Timestamp};

use crate::apply::{Server, same_cluster};
use crate::build::secret;
use crate::caches::Caches;
use crate::clusters::Cluster;
use crate::error::Error;
use crate::valid::Valid;

/// How long a broker's certificate is valid: two years and a quarter, the longest that some TLS clients accept. It is made
/// anew for every pod; one that runs for two thirds of that time is replaced for it.
const BROKER_VALID_DAYS: u32 = 825;

/// How long a client's certificate is valid. It is made anew after two thirds of that; whoever mounts the secret has the
/// rest of it to take the new one up.
const CLIENT_VALID_DAYS: u32 = 825;

/// Addresses of nodes in one broker's certificate. Clients are sent to the address of the broker's own node, and
/// before the pod has its node that may be any of them. A certificate with more names than this is refused by some
/// clients; a larger Kubernetes gives brokers names instead (an external address for each).
const MAX_NODE_ADDRESSES: usize = 100;

/// The authority that signs the brokers' certificates; made the first time.
///
/// # Errors
/// If the secret cannot be read or made.
pub async fn of_brokers(server: &Server, caches: &Caches, cluster: &Cluster) -> Result<Ca, Error> {
    let valid = cluster.valid();
    let common_name = format!("{} brokers", valid.name());
    of(server, caches, cluster, &valid, &labels::cluster_ca_name(valid.name(), valid.id()), &common_name)
        .await
}

/// Our authority for clients; made the first time. It is needed before the object can be validated, hence the argument.
///
/// # Errors
/// If the secret cannot be read or made.
pub async fn of_clients(
    server: &Server,
    caches: &Caches,
    cluster: &Cluster,
    valid: &Valid,
) -> Result<Ca, Error> {
    let common_name = format!("{} clients", valid.name());
    of(server, caches, cluster, valid, &labels::clients_ca_name(valid.name(), valid.id()), &common_name).await
}

async fn of(
    server: &Server,
    caches: &Caches,
    cluster: &Cluster,
    valid: &Valid,
    name: &str,
    common_name: &str,
) -> Result<Ca, Error> {
    let _making = cluster.making_authority.lock().await;
    let cached = caches.secrets.find(valid.id(), name);
    if let Some(ca) = cached.as_deref().and_then(secret::read_authority) {
        cluster.remember_authority(name, &ca);
        if cached.is_some_and(|secret| !lasts_as_wanted(&*secret, valid)) {
            server.apply(&secret::authority(valid, name.to_owned(), &ca), true).await?;
        }
        return Ok(ca);
    }
    let there: Option<Secret> = server.get(&valid.namespace, name).await?;
    if let Some(there) = &there {
        same_cluster(&secret_like(valid, name), there, "Secret")?;
        if let Some(ca) = secret::read_authority(there) {
            cluster.remember_authority(name, &ca);
            return Ok(ca);
        }
    }
    // Its secret is gone or broken. Clients trust the one that there was, so that one is put back if anybody knows it.
    let (ca, new) = match cluster.known_authority(name) {
        Some(ca) => (ca, false),
        None => (Ca::new(common_name, System::now())?, true),
    };
    let wanted = secret::authority(valid, name.to_owned(), &ca);
    let made = match (&there, new) {
        // Nothing is written over an authority that we do not know: whatever is left of it may be its only copy.
        (Some(_), true) => {
            return Err(Error::Foreign {
                what: format!("Secret {name} (which holds no usable authority)"),
                advice: "put back its ca.crt and ca.key, or delete it so that a new authority is made, which every \
                         client must then be told",
                passes: false,
            });
        }
        (Some(_), false) => server.apply(&wanted, true).await.map(Some)?,
        (None, _) => server.create(&wanted).await?,
    };
    if made.is_none() {
        // Somebody was faster; theirs counts.
        return Err(Error::Waiting(format!("Secret {name} was made by somebody else a moment ago")));
    }
    cluster.remember_authority(name, &ca);
    Ok(ca)
}

/// Whether an object goes with the cluster's object where it should, and outlives it where it should.
pub(crate) fn lasts_as_wanted<K: Resource>(object: &K, valid: &Valid) -> bool {
    object.owner_references().is_empty() == valid.retains_data
}

/// An object of the cluster with this name, to compare owners with.
fn secret_like(valid: &Valid, name: &str) -> Secret {
    Secret { metadata: crate::build::owned(valid, name.to_owned(), valid.labels()), ..Secret::default() }
}

/// A certificate for a broker, for every name under which clients may reach it.
///
/// # Errors
/// If it cannot be made.
pub fn broker_identity(
    ca: &Ca,
    valid: &Valid,
    broker: BrokerId,
    node_addresses: &[String],
    now: Timestamp,
) -> Result<Identity, Error> {
    Ok(ca.issue_server(&broker_names(valid, broker, node_addresses), now, BROKER_VALID_DAYS)?)
}

/// A certificate for a client of ours.
///
/// # Errors
/// If it cannot be made.
pub fn client_identity(ca: &Ca, valid: &Valid, now: Timestamp) -> Result<secret::ClientFiles, Error> {
    use secrecy::ExposeSecret;
    let identity = ca.issue_client(valid.name(), now, CLIENT_VALID_DAYS)?;
    Ok(secret::ClientFiles {
        certificate: identity.cert_chain_pem,
        key: identity.key_pem.expose_secret().to_owned(),
    })
}

/// The names in a broker's certificate: its own service and the one where clients start, as they are called inside
/// Kubernetes, and the addresses of all nodes, on which its port is open.
fn broker_names(valid: &Valid, broker: BrokerId, node_addresses: &[String]) -> Vec<String> {
    let services = [labels::broker_name(valid.name(), broker), labels::bootstrap_name(valid.name())];
    let namespace = &valid.namespace;
    let forms = |service: &String| {
        [
            service.clone(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
        ]
    };
    let mut names: Vec<String> = services.iter().flat_map(forms).collect();
    names.push("localhost".to_owned());
    names.push("127.0.0.1".to_owned());
    names.extend(node_addresses.iter().take(MAX_NODE_ADDRESSES).cloned());
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture;

    #[test]
    fn a_certificate_names_services_and_nodes_and_has_a_bound() {
        let valid = fixture::valid();
        let nodes: Vec<String> = (0..200).map(|n| format!("10.0.0.{n}")).collect();
        let names = broker_names(&valid, BrokerId(2), &nodes);
        for name in [
            "orders-broker-2",
            "orders-broker-2.shop.svc.cluster.local",
            "orders-bootstrap.shop.svc",
            "10.0.0.7",
        ] {
            assert!(names.iter().any(|it| it == name), "{name}: {names:?}");
        }
        assert_eq!(names.len(), 10 + MAX_NODE_ADDRESSES);
    }
}
