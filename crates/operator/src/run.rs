//! The operator as a whole: watches, lease, agents, controller, admin port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agent::Fleet;
use agent::clock::System;
use anyhow::Context as _;
use futures_util::{Stream, StreamExt, stream};
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use model::ClusterId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin};
use crate::apply::Server;
use crate::build::ADMIN_PORT;
use crate::caches::{self, Caches, Wake, Woken};
use crate::clusters::Clusters;
use crate::controller::{self, Context};
use crate::events::Events;
use crate::lease::Contender;
use crate::metrics::Metrics;
use crate::objects::{self, Guarded};
use crate::settings::Settings;
use crate::substrate::Kubernetes;
use crate::upkeep::Applied;

/// Wake-ups that wait for the controller. It takes them at once and drops repetitions; if it ever is this far behind, a
/// wake-up that is lost is made up for by the next pass that comes anyway.
const WAKES: usize = 65_536;

/// How long the first look at everything may take before somebody is told what is missing.
const FIRST_LOOK: Duration = Duration::from_secs(20);

/// What an operator process is told beside what holds for all clusters.
#[derive(Clone, Debug)]
pub struct Process {
    /// Where admin HTTP listens.
    pub admin: SocketAddr,
    /// Namespace of the lease.
    pub lease_namespace: String,
    /// Name of the lease.
    pub lease_name: String,
    /// Who we are: different for every process.
    pub identity: String,
}

/// Runs until cancelled, or until the lease is lost. What is counted goes into `metrics`.
///
/// # Errors
/// If the lease was lost or the admin port cannot be had.
pub async fn run(
    client: Client,
    settings: Settings,
    process: Process,
    metrics: Arc<Metrics>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let clusters = Clusters::default();
    let caches = Caches::default();
    let (wakes, woken) = mpsc::channel::<ClusterId>(WAKES);

    let listener = tokio::net::TcpListener::bind(process.admin).await;
    let listener = listener.with_context(|| format!("the admin port {} cannot be had", process.admin))?;
    tracing::info!("admin HTTP is on {}", listener.local_addr()?);
    let pages = Admin { metrics: Arc::clone(&metrics), caches: caches.clone() };
    let serving = axum::serve(listener, admin::router(pages)).into_future();

    let api = caches::namespaced(&client, settings.namespace.as_deref());
    let watching = caches.watch(&client, settings.namespace.as_deref(), &waker(&clusters, &wakes));
    let contender =
        Contender::new(client.clone(), &process.lease_namespace, &process.lease_name, &process.identity);
    let leading = async {
        let lease = contender.acquire(System::now).await;
        tracing::info!("{} leads", process.identity);
        metrics.leads.set(1);
        let kubernetes = Kubernetes {
            server: Server::new(client.clone()),
            caches: caches.clone(),
            clusters: clusters.clone(),
            settings: Arc::new(settings),
            metrics: Arc::clone(&metrics),
            admin_port: ADMIN_PORT,
        };
        let fleet = Fleet::measured(kubernetes.clone(), System, metrics.agents.clone(), []);
        let context = Arc::new(Context {
            events: Events::new(client.clone(), &process.identity),
            kubernetes,
            fleet: fleet.clone(),
            applied: Applied::default(),
            objects: std::sync::Mutex::default(),
        });
        let working = async {
            seen_once(&caches).await;
            let (objects, changed) = objects::watch(api, waker(&clusters, &wakes));
            let due = stream::select(changed, woken_objects(clusters.clone(), woken));
            controller::run(context, objects, due).await;
        };
        let telling = tell_what_agents_say(&fleet, &wakes);
        tokio::select! {
            lost = contender.keep(lease, System::now) => Err(anyhow::Error::new(lost)),
            () = working => Err(anyhow::anyhow!("the controller ended by itself")),
            () = telling => Err(anyhow::anyhow!("the agents' board ended by itself")),
        }
    };
    let ended = tokio::select! {
        ended = leading => ended,
        () = watching => Err(anyhow::anyhow!("the watches ended by themselves")),
        served = serving => Err(anyhow::Error::new(served.err().unwrap_or_else(|| std::io::Error::other("it ended"))).context("admin HTTP failed")),
        () = cancel.cancelled() => Ok(()),
    };
    if ended.is_ok() {
        // Asked to stop: the next one need not wait until the lease runs out.
        let _ = tokio::time::timeout(crate::lease::MARGIN, contender.release()).await;
    }
    ended
}

/// Wakes agent and controller of what a watch is about.
fn waker(clusters: &Clusters, wakes: &mpsc::Sender<ClusterId>) -> Wake {
    let (clusters, wakes) = (clusters.clone(), wakes.clone());
    Arc::new(move |woken| {
        let touched = match woken {
            Woken::Cluster(cluster) => clusters.get(cluster).into_iter().collect(),
            Woken::Every => clusters.all(),
        };
        for cluster in touched {
            cluster.changed.notify_one();
            let _ = wakes.try_send(cluster.valid().id());
        }
    })
}

/// Whatever an agent says is for the controller to write.
async fn tell_what_agents_say(fleet: &Fleet<Kubernetes, System>, wakes: &mpsc::Sender<ClusterId>) {
    let mut said = Box::pin(fleet.board().follow());
    while let Some(status) = said.next().await {
        let _ = wakes.try_send(status.cluster);
    }
}

/// The objects of clusters that are to be looked at.
fn woken_objects(
    clusters: Clusters,
    woken: mpsc::Receiver<ClusterId>,
) -> impl Stream<Item = ObjectRef<Guarded>> + Send {
    stream::unfold((clusters, woken), |(clusters, mut woken)| async move {
        loop {
            let id = woken.recv().await?;
            if let Some(cluster) = clusters.get(id) {
                let valid = cluster.valid();
                let reference = ObjectRef::new(valid.name()).within(&valid.namespace);
                return Some((reference, (clusters, woken)));
            }
        }
    })
}

/// Returns when everything was seen once. Nothing is decided before: what was not seen looks like what is not there.
async fn seen_once(caches: &Caches) {
    /// Short beside the time that the lists take.
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    let mut told = false;
    loop {
        let unfilled = caches.unfilled();
        if unfilled.is_empty() {
            return;
        }
        if waited >= FIRST_LOOK && !told {
            told = true;
            tracing::warn!(
                "still waiting for a first look at {}; nothing is done before. Is the operator allowed to list and watch them?",
                unfilled.join(", ")
            );
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        waited += LOOK_AGAIN;
    }
}
