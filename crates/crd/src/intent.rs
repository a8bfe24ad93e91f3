//! From an object to an intent and back.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use model::intent::{self, RolloutPolicy};
use model::{BrokerId, ClusterId, ClusterIntent, FeatureLevel, Generation, Release};
use thiserror::Error;
use uuid::Uuid;

use crate::quantity;
use crate::spec::{
    IntentRef, KafkaCluster, KafkaClusterSpec, Lifecycle, Listener, Pool, Resources, Security, Setting,
    Storage,
};

/// An object that the API server accepted and that still cannot be followed, with every reason. Each is a sentence for
/// the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", problems.join("; "))]
pub struct Invalid {
    /// The reasons.
    pub problems: Vec<String>,
}

/// What an object says and an intent does not: where brokers are to lie on Kubernetes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// Storage class of the brokers' claims; the default one without.
    pub storage_class: Option<String>,
    /// CPU and memory of each broker; the operator's choice without.
    pub resources: Option<Resources>,
}

/// The cluster's id: the one it was given, or the object's uid.
///
/// # Errors
/// If the object has neither: it was not read from an API server.
pub fn cluster_id(object: &KafkaCluster) -> Result<ClusterId, Invalid> {
    let text = object.spec.cluster_id.clone().or_else(|| object.uid());
    let parsed = text.as_deref().and_then(|text| text.parse::<Uuid>().ok());
    parsed.map(ClusterId).ok_or_else(|| Invalid {
        problems: vec!["spec.clusterId is no UUID, and the object has no uid to take its place".to_owned()],
    })
}

/// The generation that an object asks for: that of its intent, or its own.
#[must_use]
pub fn generation(object: &KafkaCluster) -> Generation {
    let own = object.metadata.generation.unwrap_or(Generation::FIRST.0);
    Generation(object.spec.intent.as_ref().map_or(own, |intent| intent.generation))
}

/// The intent that an object carries. `own_ca` is the certificate of the operator's authority for clients, which counts
/// when the object names none.
///
/// # Errors
/// Everything that is wrong with the object beyond what the schema's rules can say.
pub fn of(object: &KafkaCluster, own_ca: Option<&str>) -> Result<ClusterIntent, Invalid> {
    let spec = &object.spec;
    let cluster = cluster_id(object)?;
    let mut problems = Vec::new();
    let mut pools = Vec::new();
    let mut seen = BTreeSet::new();
    for pool in &spec.pools {
        let brokers = node_ids(pool);
        for broker in brokers.iter().filter(|broker| !seen.insert(**broker)) {
            problems.push(format!(
                "node id {broker} is in two pools (the second is {}); give every broker an id of its own",
                pool.name
            ));
        }
        let Some(storage) = quantity::parse(&pool.storage.size) else {
            problems.push(format!(
                "storage size {:?} of pool {} is too large or no size; write for instance 10Gi",
                pool.storage.size, pool.name
            ));
            continue;
        };
        pools.push(intent::Pool { name: pool.name.clone(), brokers, storage });
    }
    for (key, Setting(value)) in &spec.config {
        let broken = |text: &str| text.contains(['\n', '\r', '\0']);
        if key.trim() != key || key.is_empty() || key.contains('=') || broken(key) || broken(value) {
            problems
                .push(format!("config has the setting {key:?}, which is no setting on one line; correct it"));
        }
    }
    for ca in &spec.client_cas {
        if !ca.contains("-----BEGIN CERTIFICATE-----") {
            problems
                .push("clientCas holds an entry without a PEM certificate; remove or correct it".to_owned());
        }
    }
    if !problems.is_empty() {
        return Err(Invalid { problems });
    }
    let client_cas = match spec.client_cas.is_empty() {
        true => own_ca.map(str::to_owned).into_iter().collect(),
        false => spec.client_cas.clone(),
    };
    Ok(ClusterIntent {
        cluster,
        generation: generation(object),
        parent: spec.intent.as_ref().and_then(|intent| intent.parent).map(Generation),
        name: object.name_any(),
        release: Release(spec.release.clone()),
        feature_level: FeatureLevel(u32::try_from(spec.feature_level).unwrap_or(1)),
        pools,
        listeners: spec.listeners.iter().map(listener).collect(),
        client_cas,
        config: spec.config.iter().map(|(key, Setting(value))| (key.clone(), value.clone())).collect(),
        rollout: RolloutPolicy::default(),
        lifecycle: match spec.lifecycle {
            Lifecycle::Run => intent::Lifecycle::Run,
            Lifecycle::Pause => intent::Lifecycle::Pause,
            Lifecycle::Stop => intent::Lifecycle::Stop,
            Lifecycle::Remove => intent::Lifecycle::Remove,
        },
    })
}

/// The object that carries an intent. It has no namespace: that is the publisher's to choose.
#[must_use]
pub fn object(intent: &ClusterIntent, placement: &Placement) -> KafkaCluster {
    let pools = intent.pools.iter().map(|pool| Pool {
        name: pool.name.clone(),
        replicas: None,
        brokers: Some(pool.brokers.iter().map(|broker| broker.0).collect()),
        storage: Storage { size: quantity::print(pool.storage), class: placement.storage_class.clone() },
        resources: placement.resources.clone(),
    });
    let spec = KafkaClusterSpec {
        release: intent.release.0.clone(),
        feature_level: i32::try_from(intent.feature_level.0).unwrap_or(i32::MAX),
        pools: pools.collect(),
        listeners: intent
            .listeners
            .iter()
            .map(|listener| Listener {
                name: listener.name.clone(),
                security: match listener.security {
                    intent::Security::MutualTls => Security::MutualTls,
                },
            })
            .collect(),
        client_cas: intent.client_cas.clone(),
        config: intent
            .config
            .iter()
            .map(|(key, value)| (key.clone(), Setting(value.clone())))
            .collect::<BTreeMap<_, _>>(),
        lifecycle: match intent.lifecycle {
            intent::Lifecycle::Run => Lifecycle::Run,
            intent::Lifecycle::Pause => Lifecycle::Pause,
            intent::Lifecycle::Stop => Lifecycle::Stop,
            intent::Lifecycle::Remove => Lifecycle::Remove,
        },
        deletion: crate::spec::Deletion::Retain,
        cluster_id: Some(intent.cluster.to_string()),
        intent: Some(IntentRef {
            generation: intent.generation.0,
            parent: intent.parent.map(|parent| parent.0),
        }),
    };
    KafkaCluster::new(&intent.name, spec)
}

/// The node ids of a pool's brokers.
fn node_ids(pool: &Pool) -> Vec<BrokerId> {
    match &pool.brokers {
        Some(brokers) => brokers.iter().copied().map(BrokerId).collect(),
        None => (0..pool.replicas.unwrap_or(1)).map(BrokerId).collect(),
    }
}

fn listener(listener: &Listener) -> intent::Listener {
    let security = match listener.security {
        Security::MutualTls => intent::Security::MutualTls,
    };
    intent::Listener { name: listener.name.clone(), security }
}
