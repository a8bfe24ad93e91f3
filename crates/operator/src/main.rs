//! `penstock-operator`: looks after the KafkaClusters of a Kubernetes.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use model::Release;
use operator::run::{self, Process};
use operator::settings::{self, Settings};
use telemetry::logs;
use tokio_util::sync::CancellationToken;

/// Looks after the KafkaClusters of a Kubernetes.
#[derive(Parser)]
#[command(name = "penstock-operator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the operator.
    Run(Box<Run>),
    /// Prints the definitions of the custom resources as YAML.
    Crds,
}

#[derive(Args)]
struct Run {
    /// A broker release and its image, as RELEASE=IMAGE; may be given several times, or separated by commas.
    #[arg(long = "release", env = "PENSTOCK_RELEASES", value_delimiter = ',', value_parser = settings::image, required = true)]
    releases: Vec<(Release, String)>,
    /// Kubernetes' rule for getting the brokers' images.
    #[arg(long, env = "PENSTOCK_IMAGE_PULL_POLICY", default_value = "IfNotPresent", value_parser = ["IfNotPresent", "Always", "Never"])]
    image_pull_policy: String,
    /// The one namespace to look after; all without.
    #[arg(long, env = "PENSTOCK_WATCH_NAMESPACE")]
    watch_namespace: Option<String>,
    /// Where admin HTTP listens: /livez, /readyz, /metrics.
    #[arg(long, env = "PENSTOCK_ADMIN_LISTEN", default_value = "0.0.0.0:9464")]
    admin: SocketAddr,
    /// Namespace of the lease by which one of several operators leads.
    #[arg(long, env = "PENSTOCK_LEASE_NAMESPACE", default_value = "default")]
    lease_namespace: String,
    /// Name of that lease.
    #[arg(long, env = "PENSTOCK_LEASE_NAME", default_value = "penstock-operator")]
    lease_name: String,
    /// Who this is, in the lease and in Events; the name of its pod.
    #[arg(long, env = "POD_NAME", default_value = "penstock-operator")]
    identity: String,
    /// What log lines look like: `text` or `json`.
    #[arg(long, env = "PENSTOCK_LOG_FORMAT", default_value = "text")]
    log_format: logs::Format,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(run) => operate(*run),
        Command::Crds => print_crds(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            // One sentence for the person who reads the log; the alternate form has the causes in it.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_crds() -> anyhow::Result<()> {
    use std::io::Write;
    let text = crd::yaml().context("the definitions cannot be written as YAML")?;
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")
}

fn operate(run: Run) -> anyhow::Result<()> {
    logs::init(run.log_format);
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    // Fails only if one was chosen before, and nobody else is here yet.
    let _ = provider.install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Everything waits for the network; two threads keep a slow one from holding up the rest.
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    let ended = runtime.block_on(async {
        let client = kube::Client::try_default().await.context("no Kubernetes to work for")?;
        let settings = Settings {
            images: run.releases.into_iter().collect(),
            pull_policy: run.image_pull_policy,
            namespace: run.watch_namespace,
        };
        let process = Process {
            admin: run.admin,
            lease_namespace: run.lease_namespace,
            lease_name: run.lease_name,
            // A pod that is restarted in place keeps its name, and its predecessor may not know yet that it is dead.
            identity: format!("{}_{}", run.identity, uuid::Uuid::new_v4()),
        };
        let cancel = CancellationToken::new();
        tokio::spawn(stop_on_signal(cancel.clone()));
        run::run(client, settings, process, Arc::default(), cancel).await
    });
    // Actions under way are cut off here; each can be repeated.
    runtime.shutdown_background();
    ended
}

async fn stop_on_signal(cancel: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    cancel.cancel();
}
