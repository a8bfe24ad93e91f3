//! What brokers run on, chosen by a flag: the rest of the server knows no difference.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use agent::{Dispatch, DispatchError};
use anyhow::{Context, bail};
use futures_util::Stream;
use futures_util::future::Either;
use local::{InProcess, Local};
use model::{ClusterId, ClusterIntent, ClusterStatus, Release};
use telemetry::Registry;

use crate::config::{self, Serve};

/// The broker program beside this one.
const BROKER: &str = "penstock-broker";

/// Seam A of this server.
pub(crate) enum Substrate {
    /// Processes on this machine, with their agents in this process.
    Local(InProcess),
    /// Objects in Kubernetes, with their agents in the operator.
    Kubernetes(Box<dispatch_kube::Kubernetes>),
}

impl Substrate {
    /// Prepares the substrate, or says in one sentence why it is of no use.
    pub(crate) async fn open(
        serve: &Serve,
        dir: &Path,
        release: &Release,
        registry: &Registry,
    ) -> anyhow::Result<Substrate> {
        match serve.substrate {
            config::Substrate::Local => {
                let broker = broker_binary(serve.broker_binary.as_deref())?;
                let releases = BTreeMap::from([(release.clone(), broker)]);
                let config =
                    local::Config { dir: dir.to_owned(), releases, host: IpAddr::V4(Ipv4Addr::LOCALHOST) };
                let local = Local::open(config)?;
                let agents = InProcess::resume(local, agent::Metrics::register(registry))
                    .context("cannot take up the clusters of this directory")?;
                Ok(Substrate::Local(agents))
            }
            config::Substrate::Kubernetes => {
                let source = dispatch_kube::Source {
                    kubeconfig: serve.kubeconfig.clone(),
                    namespace: serve.kube_namespace.clone(),
                };
                let connection = dispatch_kube::Connection::open(&source).await?;
                tracing::info!("publishing clusters into namespace {}", connection.namespace);
                let config = dispatch_kube::Config {
                    namespace: connection.namespace,
                    placement: dispatch_kube::Placement {
                        storage_class: serve.storage_class.clone(),
                        resources: None,
                    },
                };
                let metrics = dispatch_kube::Metrics::register(registry);
                let objects = dispatch_kube::Kubernetes::start(connection.client, config, metrics);
                Ok(Substrate::Kubernetes(Box::new(objects)))
            }
        }
    }

    /// Ends what runs in this process. Brokers go on.
    pub(crate) async fn stop(&self) {
        match self {
            Substrate::Local(agents) => agents.stop().await,
            Substrate::Kubernetes(objects) => objects.stop().await,
        }
    }
}

impl Dispatch for Substrate {
    async fn publish(&self, intent: &ClusterIntent) -> Result<(), DispatchError> {
        match self {
            Substrate::Local(agents) => agents.publish(intent).await,
            Substrate::Kubernetes(objects) => objects.publish(intent).await,
        }
    }

    async fn withdraw(&self, cluster: ClusterId) -> Result<(), DispatchError> {
        match self {
            Substrate::Local(agents) => agents.withdraw(cluster).await,
            Substrate::Kubernetes(objects) => objects.withdraw(cluster).await,
        }
    }

    fn statuses(&self) -> impl Stream<Item = ClusterStatus> + Send {
        match self {
            Substrate::Local(agents) => Either::Left(agents.statuses()),
            Substrate::Kubernetes(objects) => Either::Right(objects.statuses()),
        }
    }
}

fn broker_binary(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => {
            std::env::current_exe().context("cannot tell where this program lies")?.with_file_name(BROKER)
        }
    };
    if !path.is_file() {
        bail!("there is no broker program {}; build it, or name it with --broker-binary", path.display());
    }
    path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
}
