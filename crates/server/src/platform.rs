//! The order of things: what is made before what, what runs beside what, and what ends first.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::clock::System;
use anyhow::Context;
use control::{Control, Problem, Settings};
use keyring::seal::MasterKey;
use model::{FeatureLevel, Release};
use reconciler::Reconciler;
use secrecy::{ExposeSecret, SecretString};
use store::Store;
use telemetry::Registry;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config::Serve;
use crate::directory::Directory;
use crate::probes::Prepared;
use crate::substrate::Substrate;
use crate::{https, identity, owner, probes, provided, signals};

/// The broker release that comes with this server: both are built from one source.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The metadata level of that release.
const FEATURE_LEVEL: FeatureLevel = FeatureLevel(1);

/// Between two tries to reach Postgres while the server starts. A private Postgres that starts at the same time needs
/// some hundred milliseconds.
const PREPARE_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Serves until told to stop.
pub(crate) async fn run(serve: Serve) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    signals::listen(&stop, serve.stop_with_stdin)?;
    let directory = Directory::take(serve.dir()?)?;
    let identity = match &serve.tls {
        Some(dir) => provided::read(dir)?,
        None => identity::make(directory.path(), &serve.public_names, System::now())?,
    };
    let listener = listen(serve.listen).await?;
    let address = listener.local_addr().context("cannot tell the address that was taken")?;
    let registry = Registry::new();
    let keys = Keys::load(&serve, directory.path())?;
    let control = control(&serve, keys.master, &registry)?;
    let release = Release(RELEASE.to_owned());
    let substrate = Arc::new(Substrate::open(&serve, directory.path(), &release, &registry).await?);

    let prepared = Prepared::default();
    let routes = api::router(control.control.clone(), api::Metrics::register(&registry))
        .merge(console::router(control.control.clone(), &keys.console, System::now))
        .merge(probes::routes(control.control.clone(), registry.clone(), prepared.clone()));
    let tls = TlsAcceptor::from(identity.tls);
    let connections =
        tokio::spawn(https::serve(listener, tls, routes, https::Metrics::register(&registry), stop.clone()));
    let renewals = tokio::spawn(stop.clone().run_until_cancelled_owned(identity.renewals));

    let reconciler = Reconciler::new(
        control.store,
        control.control.clone(),
        Arc::clone(&substrate),
        System::now,
        Default::default(),
    )
    .measured(&registry);
    let reconcile_stop = stop.clone();
    let ready = async {
        prepare(&control.control, &serve, directory.path()).await?;
        prepared.set();
        announce(address, &identity.ca_file)?;
        reconciler.run(reconcile_stop).await;
        anyhow::Ok(())
    };
    let result = tokio::select! {
        result = ready => result,
        // Nothing can be unfinished before the platform is prepared.
        () = stop.cancelled(), if !stop.is_cancelled() => Ok(()),
    };
    stop.cancel();
    // Requests first, since they use everything else; then the agents; brokers go on.
    connections.await.context("a part of the server ended by a mistake")?;
    renewals.await.context("a part of the server ended by a mistake")?;
    substrate.stop().await;
    result
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("{address} is taken by another program; choose another address with --listen, or port 0 for any free one")
        }
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}; choose another with --listen")),
    })
}

/// The keys of the server.
struct Keys {
    /// Seals secrets in the database.
    master: MasterKey,
    /// Signs sessions of the console.
    console: MasterKey,
}

impl Keys {
    /// Where the master key is provided, all servers share it, and the console's key is derived from it: whoever signed
    /// in at one server is signed in at all of them.
    fn load(serve: &Serve, dir: &Path) -> anyhow::Result<Keys> {
        Ok(match &serve.master_key {
            Some(path) => {
                let master = MasterKey::load(path)?;
                let console = MasterKey::from_bytes(*master.derive("console sessions").expose_secret());
                Keys { master, console }
            }
            None => Keys {
                master: MasterKey::load_or_create(&dir.join("master.key"))?,
                console: MasterKey::load_or_create(&dir.join("console.key"))?,
            },
        })
    }
}

struct Controlled {
    control: Control,
    store: Store,
}

fn control(serve: &Serve, master_key: MasterKey, registry: &Registry) -> anyhow::Result<Controlled> {
    let store = store(serve.database_url()?)?.measured(registry);
    let settings = Settings {
        region: serve.region.clone(),
        release: Release(RELEASE.to_owned()),
        feature_level: FEATURE_LEVEL,
    };
    let control = Control::new(settings, store.clone(), master_key, System::now);
    Ok(Controlled { control, store })
}

/// The handle to the database; nothing is connected yet.
pub(crate) fn store(url: &SecretString) -> anyhow::Result<Store> {
    Store::connect(url.expose_secret()).context("the database URL cannot be used")
}

/// Brings the database up to date, waiting for Postgres as long as it takes.
async fn prepare(control: &Control, serve: &Serve, dir: &Path) -> anyhow::Result<()> {
    let once = || async {
        control.prepare().await.context("cannot bring the database up to date")?;
        match &serve.owner {
            Some(name) => owner::ensure(control, name, dir).await,
            None => Ok(()),
        }
    };
    let mut waited = false;
    loop {
        match once().await {
            Ok(()) => return Ok(()),
            Err(error) => {
                let problem = error.downcast_ref::<Problem>();
                let detail = problem.and_then(Problem::private_detail).unwrap_or_default().to_owned();
                if !matches!(problem, Some(Problem::Unavailable { .. })) {
                    return Err(error.context(detail));
                }
                if !waited {
                    tracing::warn!("the database is away; starting goes on when it answers: {detail}");
                    waited = true;
                }
                tokio::time::sleep(PREPARE_AGAIN_AFTER).await;
            }
        }
    }
}

/// The one line on standard output.
fn announce(address: SocketAddr, ca_file: &Path) -> anyhow::Result<()> {
    let host = if address.ip().is_loopback() { "localhost".to_owned() } else { address.ip().to_string() };
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "ready url=https://{host}:{} listen={address} ca={}", address.port(), ca_file.display())
        .and_then(|()| stdout.flush())
        .context("cannot print the ready line")
}
