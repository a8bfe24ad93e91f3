//! Labels, annotations and names of the objects that make up a cluster.
//!
//! An object belongs to a cluster because of [`CLUSTER_ID`], which never changes, and because the cluster's object owns
//! it; names and other labels are for people and selectors.

use model::{BrokerId, ClusterId};

/// The cluster's name.
pub const CLUSTER: &str = "penstock.dev/cluster";

/// The cluster's id. What is selected by: a name may be given again, an id never is.
pub const CLUSTER_ID: &str = "penstock.dev/cluster-id";

/// The broker's pool.
pub const POOL: &str = "penstock.dev/pool";

/// The broker's node id.
pub const NODE_ID: &str = "penstock.dev/node-id";

/// Kubernetes' own label for who looks after an object; the operator watches what carries it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY`], and the name under which the operator owns fields.
pub const OPERATOR: &str = "penstock-operator";

/// On a pod: fingerprint of the specification that it was made from.
pub const FINGERPRINT: &str = "penstock.dev/spec";

/// On a pod: digest of what only Kubernetes knows of its making (resources, authority).
pub const MAKE: &str = "penstock.dev/make";

/// On a pod: from when until when the certificate is valid that it was made with, as two times with a slash in between.
pub const CERTIFICATE: &str = "penstock.dev/certificate";

/// Name of everything that one broker has, except for its claim: pod, service, secret and configuration.
#[must_use]
pub fn broker_name(cluster: &str, broker: BrokerId) -> String {
    format!("{cluster}-broker-{broker}")
}

/// On a claim: the port on every node under which its broker is reached, which a later broker with this data keeps.
pub const NODE_PORT: &str = "penstock.dev/node-port";

/// Name of the claim for a broker's data.
#[must_use]
pub fn claim_name(cluster: &str, id: ClusterId, broker: BrokerId) -> String {
    lasting(&broker_name(cluster, broker), id)
}

/// Name of what outlives its cluster where data is retained. A later cluster of the same name must not come upon it: the
/// beginning of the cluster's id keeps them apart.
fn lasting(name: &str, id: ClusterId) -> String {
    let digits = id.0.simple().to_string();
    format!("{name}-{}", &digits[..8])
}

/// Name of the service at which clients inside Kubernetes start.
#[must_use]
pub fn bootstrap_name(cluster: &str) -> String {
    format!("{cluster}-bootstrap")
}

/// Name of the secret with the authority that signs the brokers' certificates.
#[must_use]
pub fn cluster_ca_name(cluster: &str, id: ClusterId) -> String {
    lasting(&format!("{cluster}-cluster-ca"), id)
}

/// Name of the secret with the authority that signs clients' certificates, where the operator keeps one.
#[must_use]
pub fn clients_ca_name(cluster: &str, id: ClusterId) -> String {
    lasting(&format!("{cluster}-clients-ca"), id)
}

/// Name of the secret with all that a client needs, where the operator makes one.
#[must_use]
pub fn client_name(cluster: &str) -> String {
    format!("{cluster}-client")
}

/// The selector for everything of a cluster.
#[must_use]
pub fn selector(cluster: ClusterId) -> String {
    format!("{CLUSTER_ID}={cluster}")
}
