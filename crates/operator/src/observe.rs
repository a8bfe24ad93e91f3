//! From objects to an observation: pure.
//!
//! Where doubt is possible it becomes a gap, which means that nothing is done: a node that does not report, two pods
//! that claim to be one broker, a label that cannot be read. A pod that is gone is not a doubt.

mod pod;

use std::collections::BTreeMap;
use std::sync::Arc;

use crd::labels;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, Secret, Service};
use kube::{Resource, ResourceExt};
use model::observed::{BrokerSeen, Exit, Gap, Process, Readiness};
use model::status::Endpoint;
use model::{BrokerId, Observed, Timestamp};

use crate::build::pod::make;
use crate::build::{self, secret, service};
use crate::clusters::{Sighting, Sightings};
use crate::reach::Reach;
use crate::valid::Valid;

pub use pod::{broker_uid, incarnation, is_over, running_since, waits_to_restart};

/// Everything that was fetched about one cluster.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// Its pods.
    pub pods: Vec<Arc<Pod>>,
    /// Its claims.
    pub claims: Vec<Arc<PersistentVolumeClaim>>,
    /// Its services.
    pub services: Vec<Arc<Service>>,
    /// The secret with its authority.
    pub cluster_ca: Option<Arc<Secret>>,
    /// Node ids that other objects of the cluster carry.
    pub other_brokers: Vec<BrokerId>,
    /// Whether anything of it is there at all.
    pub remains: bool,
    /// All nodes, by name.
    pub nodes: BTreeMap<String, Arc<Node>>,
    /// The image of the release that is wanted, if we know one.
    pub image: Option<String>,
    /// The names of all storage classes.
    pub classes: Vec<String>,
    /// What cannot be seen at the moment, as sentences.
    pub trouble: Vec<String>,
}

/// What brokers said on their admin ports, by the uid of their pods.
pub type Answers = BTreeMap<String, Readiness>;

/// Puts an observation together, and the sightings for the next one.
#[must_use]
pub fn observe(
    at: Timestamp,
    valid: &Valid,
    fetched: &Fetched,
    answers: &Answers,
    before: &Sightings,
) -> (Observed, Sightings) {
    let mut seen = Observed {
        at,
        brokers: BTreeMap::new(),
        cluster_ca: fetched.cluster_ca.as_ref().and_then(|it| secret::text(it, secret::CA_CERTIFICATE)),
        remains: fetched.remains,
        gaps: fetched.trouble.iter().map(|what| Gap { broker: None, what: what.clone() }).collect(),
    };
    let mut sightings = before.clone();
    let pods = by_broker(&fetched.pods, &mut seen.gaps);
    let claims = by_broker(&fetched.claims, &mut seen.gaps);
    let traces = pods.keys().chain(claims.keys()).chain(&fetched.other_brokers);
    let ids: std::collections::BTreeSet<BrokerId> = traces.copied().collect();
    for id in ids {
        let endpoint = || sightings.get(&id).and_then(|sighting| sighting.endpoint.clone());
        let broker = match pods.get(&id).map(Vec::as_slice) {
            Some([pod]) => {
                if let Some(what) = pod::doubt(pod, &fetched.nodes) {
                    seen.gaps.push(Gap { broker: Some(id), what });
                }
                let port = fetched
                    .services
                    .iter()
                    .find(|it| it.meta().name.as_deref() == Some(&labels::broker_name(valid.name(), id)))
                    .and_then(|it| service::node_port(it));
                let (process, readiness) = pod::read(pod, claims.get(&id), &fetched.classes, answers);
                let mut spec = made_from(valid, pod, port, seen.cluster_ca.as_deref());
                if matches!(readiness, Readiness::Held { .. })
                    && pod::has_other_image(pod, fetched.image.as_deref())
                {
                    // It never ran, and what it waits for is not what it would be made from now.
                    spec = spec.map(|spec| format!("{spec} with another image"));
                }
                let endpoint =
                    pod::host(pod).zip(port).map(|(host, port)| Endpoint { host, port }).or_else(endpoint);
                if let Process::Running { incarnation, .. } | Process::Exited { incarnation, .. } = &process {
                    let past = sightings.get(&id).filter(|past| past.incarnation == *incarnation);
                    let sighting = Sighting {
                        is_reached: past.is_some_and(|past| past.is_reached),
                        incarnation: incarnation.clone(),
                        spec: spec.clone(),
                        endpoint: endpoint.clone(),
                        gone_at: None,
                    };
                    sightings.insert(id, sighting);
                }
                BrokerSeen { process, readiness, spec, endpoint, certificate: build::pod::certificate(pod) }
            }
            Some(several) if !several.is_empty() => {
                let names: Vec<String> = several.iter().map(|pod| pod.name_any()).collect();
                let what = format!("the pods {} all claim to be broker {id}", names.join(" and "));
                seen.gaps.push(Gap { broker: Some(id), what });
                continue;
            }
            _ => gone(at, id, valid, &mut sightings),
        };
        seen.brokers.insert(id, broker);
    }
    (seen, sightings)
}

/// The brokers that say they are ready and whose address has not led to them since they started.
#[must_use]
pub fn unreached(seen: &Observed, sightings: &Sightings) -> Vec<(BrokerId, Endpoint)> {
    let ready = seen.brokers.iter().filter(|(_, broker)| broker.readiness == Readiness::Ready);
    ready
        .filter(|(id, _)| sightings.get(id).is_some_and(|sighting| !sighting.is_reached))
        .filter_map(|(id, broker)| Some((*id, broker.endpoint.clone()?)))
        .collect()
}

/// Puts into an observation what came of trying addresses, and remembers those that led to their broker: once is enough
/// for each start, since a connection that fails later may be a single packet.
pub fn note_reach(seen: &mut Observed, sightings: &mut Sightings, tried: &[(BrokerId, Reach)]) {
    for (id, reach) in tried {
        let refused = *reach == Reach::Refused;
        match (reach, sightings.get_mut(id), seen.brokers.get_mut(id)) {
            (Reach::Led, Some(sighting), _) => sighting.is_reached = true,
            (Reach::Refused | Reach::Unanswered, _, Some(broker)) => {
                broker.readiness = Readiness::Unreached { refused };
            }
            _ => {}
        }
    }
}

/// A broker without a pod. If it had one a moment ago, that has ended.
fn gone(at: Timestamp, id: BrokerId, valid: &Valid, sightings: &mut Sightings) -> BrokerSeen {
    let Some(sighting) = sightings.get_mut(&id) else {
        return BrokerSeen {
            process: Process::Absent,
            readiness: Readiness::Unknown,
            spec: None,
            endpoint: None,
            certificate: None,
        };
    };
    let gone_at = *sighting.gone_at.get_or_insert(at);
    let said = format!("its pod {} is gone", labels::broker_name(valid.name(), id));
    BrokerSeen {
        process: Process::Exited {
            incarnation: sighting.incarnation.clone(),
            at: gone_at,
            exit: Exit::Crashed { said },
        },
        readiness: Readiness::Unknown,
        spec: sighting.spec.clone(),
        endpoint: sighting.endpoint.clone(),
        certificate: None,
    }
}

/// The fingerprint of what a pod was made from, as the machine compares it. What only Kubernetes knows of its making
/// counts where all of it is known; in doubt nobody is restarted.
fn made_from(valid: &Valid, pod: &Pod, port: Option<u16>, cluster_ca: Option<&str>) -> Option<String> {
    let fingerprint = pod.annotations().get(labels::FINGERPRINT)?.clone();
    let (Some(made), Some(port), Some(ca)) = (pod.annotations().get(labels::MAKE), port, cluster_ca) else {
        return Some(fingerprint);
    };
    let pool = pod.labels().get(labels::POOL).map_or("", String::as_str);
    match *made == make(&valid.making(pool), port, ca) {
        true => Some(fingerprint),
        false => Some(format!("{fingerprint} made as {made}")),
    }
}

/// Objects by the node id that they carry.
fn by_broker<K: Resource<DynamicType = ()>>(
    objects: &[Arc<K>],
    gaps: &mut Vec<Gap>,
) -> BTreeMap<BrokerId, Vec<Arc<K>>> {
    let mut brokers: BTreeMap<BrokerId, Vec<Arc<K>>> = BTreeMap::new();
    for object in objects {
        match node_id(&**object) {
            Some(id) => brokers.entry(id).or_default().push(Arc::clone(object)),
            None => {
                let (kind, name) = (K::kind(&()), object.name_any());
                let what = format!("{kind} {name} has no readable label {}", labels::NODE_ID);
                gaps.push(Gap { broker: None, what });
            }
        }
    }
    brokers
}

/// The node id that an object carries.
pub fn node_id<K: Resource>(object: &K) -> Option<BrokerId> {
    object.labels().get(labels::NODE_ID)?.parse().ok().map(BrokerId)
}
