//! What an object that is there already means for an intent that is to be published: pure.
//!
//! An object is *ours* if it carries an intent of the same cluster. The cluster's id is a UUID that the API server lets
//! nobody change, so this can neither be hit by chance nor change between the look and the write. Labels prove nothing:
//! anybody can edit them; they only select what is watched.

use agent::DispatchError;
use crd::intent::Placement;
use crd::{KafkaCluster, labels};
use kube::ResourceExt;
use model::{ClusterId, ClusterIntent, ClusterStatus, Generation, Lifecycle};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{FIELD_MANAGER, Read};

/// On a published object: digest of the intent as it was published. It tells an object that somebody edited from two
/// intents that claim to be the same generation.
pub(crate) const DIGEST: &str = "penstock.dev/intent-digest";

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The object carries the intent.
    Published,
    /// The object is to carry it. If there is one already, exactly this version of it is meant.
    Apply(Option<Version>),
    /// It must not.
    Refuse(DispatchError),
}

/// One version of one object, as a precondition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) uid: String,
    pub(crate) resource_version: String,
}

impl Version {
    /// Of an object that came from an API server.
    pub(crate) fn of(object: &impl kube::Resource) -> Option<Version> {
        let uid = object.meta().uid.clone()?;
        Some(Version { uid, resource_version: object.meta().resource_version.clone()? })
    }
}

/// Compares an intent with what lies at its name.
pub(crate) fn compare(intent: &ClusterIntent, there: Option<&Read>) -> Verdict {
    let cluster = intent.cluster;
    let object = match there.map(|read| &read.0) {
        None => return Verdict::Apply(None),
        Some(Err(invalid)) => {
            return Verdict::Refuse(DispatchError::Refused {
                message: format!(
                    "there is an object KafkaCluster {} that cannot be read ({}); correct or delete it",
                    intent.name, invalid.error
                ),
            });
        }
        Some(Ok(object)) => object,
    };
    if !carries(object, cluster) {
        return Verdict::Refuse(DispatchError::Refused {
            message: format!(
                "there is an object KafkaCluster {} of somebody else, and it is left alone; delete or rename it, or publish into another namespace",
                intent.name
            ),
        });
    }
    let current = crd::intent::generation(object);
    if current > intent.generation {
        return Verdict::Refuse(DispatchError::Superseded { cluster, current, offered: intent.generation });
    }
    if current == intent.generation {
        if crd::intent::of(object, None).is_ok_and(|carried| carried == *intent) {
            return Verdict::Published;
        }
        // The same intent was published, and then somebody edited the object: it is put right.
        if object.annotations().get(DIGEST) != Some(&digest(intent)) {
            return Verdict::Refuse(DispatchError::Different { cluster, generation: current });
        }
    }
    match Version::of(object) {
        Some(version) => Verdict::Apply(Some(version)),
        None => Verdict::Refuse(DispatchError::Refused {
            message: format!("the object KafkaCluster {} came without uid or version", intent.name),
        }),
    }
}

/// Whether an object carries an intent of this cluster.
pub(crate) fn carries(object: &KafkaCluster, cluster: ClusterId) -> bool {
    object.spec.intent.is_some() && object.spec.cluster_id.as_deref() == Some(cluster.to_string().as_str())
}

/// Whether nothing is left of an object's cluster, as the object itself asks for.
pub(crate) fn is_removed(object: &KafkaCluster, said: Option<&ClusterStatus>) -> bool {
    let wanted = crd::intent::of(object, None).is_ok_and(|intent| intent.lifecycle == Lifecycle::Remove);
    let generation: Generation = crd::intent::generation(object);
    wanted && said.is_some_and(|said| said.removed && said.observed_generation >= generation)
}

/// What is applied. Everything in it becomes ours to set; everything else, the status above all, stays with its owner.
pub(crate) fn applied(intent: &ClusterIntent, placement: &Placement, version: Option<&Version>) -> Value {
    let object = crd::intent::object(intent, placement);
    let mut metadata = json!({
        "name": object.name_any(),
        "labels": {
            labels::MANAGED_BY: FIELD_MANAGER,
            labels::CLUSTER_ID: intent.cluster.to_string(),
        },
        "annotations": { DIGEST: digest(intent) },
    });
    if let Some(version) = version {
        metadata["uid"] = json!(version.uid);
        metadata["resourceVersion"] = json!(version.resource_version);
    }
    json!({
        "apiVersion": <KafkaCluster as kube::Resource>::api_version(&()),
        "kind": <KafkaCluster as kube::Resource>::kind(&()),
        "metadata": metadata,
        "spec": object.spec,
    })
}

fn digest(intent: &ClusterIntent) -> String {
    // An intent is made of strings, numbers and ordered maps: it always encodes, and always in the same way.
    let text = serde_json::to_vec(intent).unwrap_or_default();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
