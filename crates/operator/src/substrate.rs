//! Kubernetes as the machine's substrate: it sees through the caches and the brokers' admin ports, and acts by making
//! and deleting pods.
//!
//! A pod's name is made from its broker's id, so Kubernetes itself sees to it that a broker has no two. A pod is never
//! changed: to restart a broker is to delete its pod and make another one. What a pod needs around it is in [`place`], how
//! it all goes in `remove`.

pub mod place;
mod remove;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use agent::clock::System;
use agent::{Performed, Substrate, SubstrateError, probe};
use crd::labels;
use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use model::action::BrokerSpec;
use model::observed::Readiness;
use model::{Action, BrokerId, ClusterId, Observed, Reason, Release};

use crate::apply::{Server, same_cluster};
use crate::build::pod;
use crate::build::pod::Surroundings;
use crate::caches::Caches;
use crate::clusters::{Cluster, Clusters};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::observe::{self, Answers, Fetched};
use crate::reach;
use crate::settings::Settings;
use crate::valid::Valid;

/// Pause between two looks at a pod that is to be gone. The watch would tell as well; but what it tells may be old, and
/// what follows a deletion must not be decided on that.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What this substrate offers of ways in, for who asks for something else.
const OFFER: &str = "the operator gives exactly one; change its spec";

/// The substrate. A cheap handle; clones are the same.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    /// The API server.
    pub server: Server,
    /// What was seen.
    pub caches: Caches,
    /// The clusters that are followed.
    pub clusters: Clusters,
    /// What we were told.
    pub settings: Arc<Settings>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The port on which brokers are asked how they are.
    pub admin_port: u16,
}

impl Substrate for Kubernetes {
    async fn observe(&self, cluster: ClusterId) -> Result<Observed, SubstrateError> {
        let at = System::now();
        let cluster = self.cluster(cluster)?;
        let valid = cluster.valid();
        let fetched = self.fetch(&valid);
        let answers = self.ask_all(&fetched.pods).await;
        let (mut observed, unreached) = {
            let mut sightings = cluster.sightings.lock().unwrap_or_else(PoisonError::into_inner);
            let (observed, next) = observe::observe(at, &valid, &fetched, &answers, &sightings);
            *sightings = next;
            let unreached = observe::unreached(&observed, &sightings);
            (observed, unreached)
        };
        let tries = unreached
            .into_iter()
            .map(|(broker, address)| async move { (broker, reach::attempt(&address).await) });
        let tried = join_all(tries).await;
        let mut sightings = cluster.sightings.lock().unwrap_or_else(PoisonError::into_inner);
        observe::note_reach(&mut observed, &mut sightings, &tried);
        Ok(observed)
    }

    async fn perform(&self, cluster: ClusterId, action: &Action) -> Result<Performed, SubstrateError> {
        let cluster = self.cluster(cluster)?;
        let performed = match action {
            Action::Start(spec) => self.start(&cluster, spec).await,
            Action::Restart { spec, incarnation, .. } => self.restart(&cluster, spec, incarnation).await,
            Action::Stop { broker, incarnation, spare_recovery } => {
                self.stop(&cluster, *broker, incarnation, *spare_recovery).await
            }
            Action::RemoveBroker { broker } => self.remove_broker(&cluster, *broker).await,
            Action::RemoveRest => self.remove_rest(&cluster).await,
        };
        self.metrics.performed(performed.as_ref());
        performed
    }

    async fn changed(&self, cluster: ClusterId) {
        match self.clusters.get(cluster) {
            Some(cluster) => cluster.changed.notified().await,
            // Nothing to wait for; the next look says what is wrong.
            None => std::future::pending().await,
        }
    }
}

impl Kubernetes {
    fn cluster(&self, id: ClusterId) -> Result<Arc<Cluster>, SubstrateError> {
        let gone = || SubstrateError::transient("could not find the cluster", "it is not followed any more");
        self.clusters.get(id).ok_or_else(gone)
    }

    /// Everything that the caches show of a cluster.
    fn fetch(&self, valid: &Valid) -> Fetched {
        let (caches, id) = (&self.caches, valid.id());
        let services = caches.services.of(id);
        let secrets = caches.secrets.of(id);
        let mut other_brokers: Vec<BrokerId> =
            services.iter().filter_map(|it| observe::node_id(&**it)).collect();
        other_brokers.extend(secrets.iter().filter_map(|it| observe::node_id(&**it)));
        other_brokers.extend(caches.configs.of(id).iter().filter_map(|it| observe::node_id(&**it)));
        Fetched {
            pods: caches.pods.of(id),
            claims: caches.claims.of(id),
            cluster_ca: caches.secrets.find(id, &labels::cluster_ca_name(valid.name(), id)),
            services,
            other_brokers,
            remains: caches.has_any_of(id),
            nodes: caches.nodes(),
            image: self.settings.images.get(&valid.intent.release).cloned(),
            classes: caches.classes.loose().iter().map(|class| class.name_any()).collect(),
            trouble: caches.trouble(),
        }
    }

    async fn start(&self, cluster: &Cluster, spec: &BrokerSpec) -> Result<Performed, SubstrateError> {
        let image = self.image(&spec.release)?;
        agent::one_listener(spec, OFFER)?;
        let valid = cluster.valid();
        let name = labels::broker_name(valid.name(), spec.broker);
        let there: Option<Pod> = self.server.get(&valid.namespace, &name).await?;
        if let Some(there) = there {
            same_cluster(&pod_like(&valid, &name), &there, "Pod")?;
            if there.metadata.deletion_timestamp.is_some() {
                self.gone(&valid, &there).await?;
            } else if may_be_replaced(&there, spec) {
                self.server.delete(&there).await?;
                self.gone(&valid, &there).await?;
            } else {
                return Ok(Performed::Unneeded);
            }
        }
        let place::Prepared { node_port, cluster_ca, certificate } =
            self.prepare(cluster, &valid, spec).await?;
        let pull_policy = self.settings.pull_policy.as_str();
        let around = Surroundings { image, pull_policy, node_port, cluster_ca: &cluster_ca, certificate };
        let created = self.server.create(&pod::build(&valid, spec, &around)).await?;
        // If somebody was faster, the next look shows what they made.
        Ok(if created.is_some() { Performed::Done } else { Performed::Unneeded })
    }

    async fn restart(
        &self,
        cluster: &Cluster,
        spec: &BrokerSpec,
        incarnation: &str,
    ) -> Result<Performed, SubstrateError> {
        // Before anything is stopped: a broker that runs is worth more than one that cannot be started.
        self.image(&spec.release)?;
        agent::one_listener(spec, OFFER)?;
        match self.stop(cluster, spec.broker, incarnation, true).await? {
            Performed::Unneeded => Ok(Performed::Unneeded),
            Performed::Done => self.start(cluster, spec).await,
        }
    }

    /// Ends one start of a broker gently, and waits until its pod is gone.
    async fn stop(
        &self,
        cluster: &Cluster,
        broker: BrokerId,
        incarnation: &str,
        spare_recovery: bool,
    ) -> Result<Performed, SubstrateError> {
        let valid = cluster.valid();
        let name = labels::broker_name(valid.name(), broker);
        // Not from the cache: between that look and now the broker may have been replaced.
        let there: Option<Pod> = self.server.get(&valid.namespace, &name).await?;
        let Some(there) = there.filter(|pod| observe::incarnation(pod) == incarnation) else {
            return Ok(Performed::Unneeded);
        };
        same_cluster(&pod_like(&valid, &name), &there, "Pod")?;
        if spare_recovery
            && observe::running_since(&there).is_some()
            && let Readiness::Recovering { done, total } = self.ask(&there).await
        {
            let why = format!("it checks its logs ({done} of {total}) and is left alone until then");
            return Err(SubstrateError::transient(format!("could not stop broker {broker}"), why));
        }
        if there.metadata.deletion_timestamp.is_none() {
            self.server.delete(&there).await?;
        }
        self.gone(&valid, &there).await?;
        Ok(Performed::Done)
    }

    /// Returns when this pod is gone. Whoever calls gives up after the time that the action may take.
    async fn gone(&self, valid: &Valid, pod: &Pod) -> Result<(), Error> {
        loop {
            let there: Option<Pod> = self.server.get(&valid.namespace, &pod.name_any()).await?;
            if there.is_none_or(|it| it.uid() != pod.uid()) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Asks every broker that runs how it is.
    async fn ask_all(&self, pods: &[Arc<Pod>]) -> Answers {
        let running = pods.iter().filter(|pod| observe::running_since(pod).is_some());
        let answers = running.map(|pod| async move { (observe::broker_uid(pod), self.ask(pod).await) });
        join_all(answers).await.into_iter().collect()
    }

    async fn ask(&self, pod: &Pod) -> Readiness {
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref());
        match ip.and_then(|ip| ip.parse::<IpAddr>().ok()) {
            // Its probe fails too; this says why.
            Some(IpAddr::V6(ip)) => Readiness::NotReady {
                why: format!(
                    "its pod has the IPv6 address {ip}, and brokers listen on IPv4 only; run it where pods have IPv4 \
                     addresses first"
                ),
            },
            Some(ip) => probe::ask(SocketAddr::new(ip, self.admin_port), &observe::broker_uid(pod)).await,
            None => Readiness::NotReady { why: "its pod has no address yet".to_owned() },
        }
    }

    fn image(&self, release: &Release) -> Result<&str, SubstrateError> {
        self.settings.images.get(release).map(String::as_str).ok_or_else(|| {
            let known: Vec<&str> = self.settings.images.keys().map(|release| release.0.as_str()).collect();
            SubstrateError::Blocked {
                reason: Reason::ReleaseMissing,
                message: format!(
                    "the operator knows no image of release {release} (it knows: {}); choose one of these, or add it to \
                     the operator's releases",
                    known.join(", ")
                ),
            }
        })
    }
}

/// Whether a pod that is there is to make room for a start: what runs in it has ended and its kubelet waits, or it was
/// made from something else and has never run.
fn may_be_replaced(pod: &Pod, spec: &BrokerSpec) -> bool {
    if observe::is_over(pod) {
        return true;
    }
    if observe::running_since(pod).is_some() {
        return false;
    }
    let made_from = pod.annotations().get(labels::FINGERPRINT);
    let outdated = made_from.is_some_and(|made_from| *made_from != spec.fingerprint());
    outdated || observe::waits_to_restart(pod)
}

/// An object of the cluster with this name, to compare owners with.
fn pod_like(valid: &Valid, name: &str) -> Pod {
    Pod { metadata: crate::build::owned(valid, name.to_owned(), valid.labels()), ..Pod::default() }
}
