//! Validation: from an object to what the rest of the operator works with. Pure, and the only place that looks at a
//! raw specification.

use std::collections::BTreeMap;

use crd::KafkaCluster;
use crd::intent::{self, Invalid};
use crd::labels;
use crd::spec::{Deletion, Resources};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use model::{BrokerId, ClusterId, ClusterIntent};

/// A cluster that can be followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Valid {
    /// What is wanted, in the words of the machine.
    pub intent: ClusterIntent,
    /// Where its objects are.
    pub namespace: String,
    /// The object that owns them.
    pub owner: OwnerReference,
    /// What only Kubernetes knows of each pool.
    pub pools: BTreeMap<String, Making>,
    /// Whether data, and what clients know of who has it, outlives the object.
    pub retains_data: bool,
    /// Whether the operator hands out the client certificates itself.
    pub own_clients: bool,
}

/// What only Kubernetes knows of a broker's making.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Making {
    /// Storage class of its claim; the default one without.
    pub storage_class: Option<String>,
    /// CPU and memory; ours to choose without.
    pub resources: Option<Resources>,
}

/// Validates an object. `own_ca` is the certificate of our authority for clients, if there is one.
///
/// # Errors
/// With every problem, as sentences for the person who wrote the object.
pub fn validate(object: &KafkaCluster, own_ca: Option<&str>) -> Result<Valid, Invalid> {
    let problem = |sentence: &str| Invalid { problems: vec![sentence.to_owned()] };
    let intent = intent::of(object, own_ca)?;
    let mut owner =
        object.controller_owner_ref(&()).ok_or_else(|| problem("the object has no name or no uid"))?;
    // Nothing of ours needs to be gone before the object may go.
    owner.block_owner_deletion = Some(false);
    let making = |pool: &crd::spec::Pool| Making {
        storage_class: pool.storage.class.clone(),
        resources: pool.resources.clone(),
    };
    Ok(Valid {
        namespace: object.namespace().ok_or_else(|| problem("the object has no namespace"))?,
        owner,
        pools: object.spec.pools.iter().map(|pool| (pool.name.clone(), making(pool))).collect(),
        retains_data: object.spec.deletion == Deletion::Retain,
        own_clients: object.spec.client_cas.is_empty(),
        intent,
    })
}

impl Valid {
    /// The cluster's id.
    #[must_use]
    pub fn id(&self) -> ClusterId {
        self.intent.cluster
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.intent.name
    }

    /// The labels of everything of this cluster.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        [
            ("app.kubernetes.io/name", "penstock-broker"),
            ("app.kubernetes.io/instance", self.name()),
            (labels::MANAGED_BY, labels::OPERATOR),
            (labels::CLUSTER, self.name()),
            (labels::CLUSTER_ID, &self.id().to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    /// The labels of everything of one broker.
    #[must_use]
    pub fn broker_labels(&self, broker: BrokerId, pool: &str) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(labels::POOL.to_owned(), pool.to_owned());
        labels.insert(labels::NODE_ID.to_owned(), broker.to_string());
        labels
    }

    /// Labels that every pod of the cluster carries and no other, for selectors. They never change.
    #[must_use]
    pub fn selector(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(labels::CLUSTER_ID.to_owned(), self.id().to_string())])
    }

    /// The same for the pod of one broker.
    #[must_use]
    pub fn broker_selector(&self, broker: BrokerId) -> BTreeMap<String, String> {
        let mut selector = self.selector();
        selector.insert(labels::NODE_ID.to_owned(), broker.to_string());
        selector
    }

    /// What only Kubernetes knows of a pool.
    #[must_use]
    pub fn making(&self, pool: &str) -> Making {
        self.pools.get(pool).cloned().unwrap_or_default()
    }
}
