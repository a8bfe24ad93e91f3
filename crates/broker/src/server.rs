//! How the broker starts and stops.
//!
//! Start: lock the directory, bind every address (so that a taken port is known at once), serve admin HTTP, read the
//! metadata, recover logs if the last stop was not orderly, accept clients, write `broker.json`. Stop: accept nothing,
//! let requests in progress end, close every log, write checkpoints, and as the very last thing the mark that says the
//! stop was orderly.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use protocol::Str;
use telemetry::logs::LevelHandle;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, Admin, Identity};
use crate::broker::{Broker, Endpoint};
use crate::clock;
use crate::config::{self, Config, Protocol};
use crate::coordinator::Coordinator;
use crate::fetch_sessions::FetchSessions;
use crate::flush::Flusher;
use crate::internal_topic::OffsetsTopic;
use crate::limits::{AnswerBytes, Connections, RequestBytes};
use crate::listener::{self, Acceptor};
use crate::metadata::Controller;
use crate::metadata::controller::{Bounds, Start};
use crate::metadata::journal::Journal;
use crate::metadata::record::SettingsOf;
use crate::metrics::Metrics;
use crate::partition::Storage;
use crate::quota::Quotas;
use crate::recovery;
use crate::status::{State, Status};
use crate::tls;
use crate::topics::Topics;
use crate::upkeep;

/// Files the broker may have open besides connections and segments.
const OTHER_FILES: u64 = 64;

/// Why the broker did not start: one sentence for a person.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error("the data directory {path} cannot be used: {reason}")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// TLS material.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The metadata.
    #[error(transparent)]
    Journal(#[from] crate::metadata::journal::JournalError),
    /// Anything else of the system.
    #[error("{step}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

fn system(step: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::System { step, source }
}

/// A broker that serves clients.
pub struct Running {
    broker: Arc<Broker>,
    status: Arc<Status>,
    tasks: TaskTracker,
    stop: CancellationToken,
    admin_stop: CancellationToken,
    admin: Option<std::net::SocketAddr>,
    took_ms: u128,
    /// Held as long as the process uses the directory.
    _lock: File,
}

/// Starts a broker and returns when clients can come.
///
/// # Errors
/// With one sentence for the person who started it.
#[expect(clippy::too_many_lines, reason = "the order of the start is the point, and it reads top-down")]
pub async fn start(config: Config, level: LevelHandle) -> Result<Running, StartError> {
    let began = Instant::now();
    let started_at_ms = clock::now_ms();
    let lock = lock_directory(&config.data_dir).await?;
    raise_file_limit(&config);
    let tls = match config.listeners.iter().any(|listener| listener.protocol == Protocol::Ssl) {
        true => Some(tls::acceptor(&config.tls)?),
        false => None,
    };
    let mut sockets = Vec::new();
    for listener in &config.listeners {
        let address = format!("{}:{}", listener.host, listener.port);
        let socket =
            listener::bind(listener).await.map_err(|source| StartError::Listen { address, source })?;
        sockets.push((listener.protocol, socket));
    }
    let metrics = Arc::new(Metrics::new());
    let status = Arc::new(Status::default());
    let admin = Arc::new(Admin {
        status: Arc::clone(&status),
        metrics: Arc::clone(&metrics),
        identity: OnceLock::new(),
        level,
    });
    let admin_stop = CancellationToken::new();
    let admin_address = serve_admin(&config, Arc::clone(&admin), admin_stop.clone()).await?;

    let (journal, image) = Journal::open(&config.data_dir)?;
    let first_start = image.cluster_id.is_empty();
    let gone = image.gone.clone();
    let flusher =
        Arc::new(Flusher::start(Arc::clone(&metrics)).map_err(system("the flush thread did not start"))?);
    let failed = CancellationToken::new();
    let (storage, found) = Storage::open(&config, Arc::clone(&flusher), Arc::clone(&metrics), failed.clone())
        .map_err(|error| StartError::DataDir { path: config.data_dir.clone(), reason: error.to_string() })?;
    let topics = Arc::new(Topics::default());
    let start = Start { cluster_id: config.cluster_id.clone(), clean: storage.was_clean() || first_start };
    let bounds = Bounds {
        max_partitions_per_topic: config.limits.max_partitions_per_topic,
        max_partitions: config.limits.max_partitions,
    };
    let controller = Controller::start(
        journal,
        image,
        &start,
        Arc::clone(&topics),
        Arc::clone(&storage),
        Arc::clone(&flusher),
        Arc::clone(&metrics),
        config.clone(),
        bounds,
    )
    .map_err(|source| StartError::DataDir { path: config.data_dir.clone(), reason: source.to_string() })?;
    let controller = Arc::new(controller);
    recovery::run(&topics, &storage, found, &gone, &status).await;

    let endpoints = endpoints(&config, &sockets)?;
    let offsets =
        Arc::new(OffsetsTopic::new(Arc::clone(&controller), Arc::clone(&topics), config.groups.clone()));
    let coordinator =
        Arc::new(Coordinator::new(config.groups.clone(), Arc::clone(&offsets) as _, metrics.registry()));
    let limits = &config.limits;
    let connections =
        Connections::new(limits.max_connections, limits.max_connections_per_ip, Arc::clone(&metrics));
    let quotas = Quotas::new(Arc::clone(&metrics));
    quotas.refresh(|| controller.all_settings_of(SettingsOf::Quota));
    let broker = Arc::new(Broker {
        quotas,
        request_bytes: RequestBytes::new(
            limits.queued_max_request_bytes,
            limits.socket_request_max_bytes,
            Arc::clone(&metrics),
        ),
        answer_bytes: AnswerBytes::new(limits.max_answer_bytes, Arc::clone(&metrics)),
        fetch_sessions: FetchSessions::new(limits.fetch_session_slots, Arc::clone(&metrics)),
        topics,
        controller,
        coordinator: Arc::clone(&coordinator),
        offsets_topic: offsets,
        storage,
        metrics,
        endpoints,
        failed,
        config,
    });
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(coordinator.run(stop.clone()));
    upkeep::spawn(&broker, &tasks, &stop);
    let mut listeners = BTreeMap::new();
    let revoked = Arc::new(tls::Revoked::new(broker.config.tls.revoked.iter().copied()));
    for (protocol, socket) in sockets {
        let address = socket.local_addr().map_err(system("a listener has no address"))?;
        listeners.insert(protocol.name().to_owned(), address.to_string());
        let acceptor = acceptor(&broker, &connections, protocol, tls.clone(), &revoked, &tasks, &stop);
        tasks.spawn(acceptor.run(socket));
    }
    let identity = Identity {
        node_id: broker.config.node_id,
        cluster_id: broker.controller.cluster_id().to_string(),
        instance: broker.config.instance.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at_ms,
        listeners,
    };
    write_broker_json(&broker.config.data_dir, &identity, admin_address)
        .map_err(system("broker.json could not be written"))?;
    let _ = admin.identity.set(identity);
    status.enter(State::Ready);
    let took_ms = began.elapsed().as_millis();
    tracing::info!(broker.id = broker.config.node_id, cluster.id = %broker.controller.cluster_id(), took_ms, "ready");
    Ok(Running { broker, status, tasks, stop, admin_stop, admin: admin_address, took_ms, _lock: lock })
}

fn acceptor(
    broker: &Arc<Broker>,
    connections: &Arc<Connections>,
    protocol: Protocol,
    tls: Option<TlsAcceptor>,
    revoked: &Arc<tls::Revoked>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Acceptor {
    Acceptor {
        connections: Arc::clone(connections),
        broker: Arc::clone(broker),
        protocol,
        tls: tls.filter(|_| protocol == Protocol::Ssl),
        revoked: Arc::clone(revoked),
        tasks: tasks.clone(),
        stop: stop.clone(),
    }
}

impl Running {
    /// The broker, for tests in this process.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Where admin HTTP listens, if it does.
    #[must_use]
    pub fn admin(&self) -> Option<std::net::SocketAddr> {
        self.admin
    }

    /// The line that is printed when clients can come; programs wait for it.
    #[must_use]
    pub fn ready_line(&self) -> String {
        let listeners: Vec<String> = self
            .broker
            .endpoints
            .iter()
            .map(|endpoint| {
                format!("{}://{}:{}", endpoint.protocol.name(), endpoint.bound_host, endpoint.bound_port)
            })
            .collect();
        let admin = self.admin.map(|address| format!(" admin=http://{address}")).unwrap_or_default();
        format!(
            "ready node.id={} listeners={}{admin} recovered_logs={} took_ms={}",
            self.broker.config.node_id,
            listeners.join(","),
            self.status.recovery().0,
            self.took_ms
        )
    }

    /// Returns when the broker cannot go on because its disk failed.
    pub async fn failed(&self) {
        self.broker.failed.cancelled().await;
    }

    /// Leaves everything as it is: the disk is not to be trusted, and the next start will check it.
    pub fn abandon(self) {
        tracing::error!("stopping at once: the disk failed, and what it holds is unknown");
        self.stop.cancel();
        self.admin_stop.cancel();
    }

    /// Stops in an orderly way.
    pub async fn stop(self) {
        let began = Instant::now();
        self.status.enter(State::Stopping);
        self.stop.cancel();
        self.tasks.close();
        let grace = Duration::from_millis(self.broker.config.stop_grace_ms);
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = self.tasks.len(),
                grace_ms = grace.as_millis(),
                "some requests did not end in time; they are cut off"
            );
        }
        let broker = Arc::clone(&self.broker);
        let closed = tokio::task::spawn_blocking(move || broker.close()).await;
        match closed {
            Ok(true) => tracing::info!(took_ms = began.elapsed().as_millis(), "stopped"),
            Ok(false) => {
                tracing::warn!("stopped, but not every log could be closed; the next start will check them")
            }
            Err(error) => tracing::error!(%error, "closing the logs failed"),
        }
        let _ = std::fs::remove_file(self.broker.config.data_dir.join(BROKER_JSON));
        self.admin_stop.cancel();
    }
}

/// How long the directory's lock is waited for. A broker that was killed or replaced by force holds it until its process
/// is gone, which takes the kernel a moment; one that serves will not let go, and whoever started a second one by mistake
/// should not have to wait long for being told.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_STEP: Duration = Duration::from_millis(50);

/// Makes the directory if need be and takes its lock, so that two brokers never share one.
async fn lock_directory(dir: &Path) -> Result<File, StartError> {
    use rustix::fs::{FlockOperation, flock};
    let refused = |reason: String| StartError::DataDir { path: dir.to_owned(), reason };
    std::fs::create_dir_all(dir).map_err(|error| refused(error.to_string()))?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(".lock"))
        .map_err(|error| refused(error.to_string()))?;
    let began = Instant::now();
    let mut told = false;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if began.elapsed() < LOCK_PATIENCE => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(path = %dir.display(), "another broker is using the data directory; waiting for its end");
                }
                tokio::time::sleep(LOCK_STEP).await;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(refused("another broker is using it".to_owned()));
            }
            Err(error) => return Err(refused(error.to_string())),
        }
    }
}

/// Asks for as many open files as connections and segments may need. Less is no reason not to start: accepting waits
/// when there are none left.
fn raise_file_limit(config: &Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted =
        u64::from(config.limits.max_connections) + crate::partition::MAX_OPEN_FILES as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = limit.maximum.map_or(wanted, |maximum| wanted.min(maximum));
        let raised = Rlimit { current: Some(raised), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}

async fn serve_admin(
    config: &Config,
    admin: Arc<Admin>,
    stop: CancellationToken,
) -> Result<Option<std::net::SocketAddr>, StartError> {
    let Some(address) = &config.admin else { return Ok(None) };
    let listen = |source| StartError::Listen { address: address.clone(), source };
    let socket = TcpListener::bind(address).await.map_err(listen)?;
    let bound = socket.local_addr().map_err(listen)?;
    tokio::spawn(async move {
        let served = axum::serve(socket, admin::router(admin)).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "admin HTTP ended");
        }
    });
    Ok(Some(bound))
}

/// What clients are told, and where the sockets really are.
fn endpoints(config: &Config, sockets: &[(Protocol, TcpListener)]) -> Result<Vec<Endpoint>, StartError> {
    let mut endpoints = Vec::new();
    for (protocol, socket) in sockets {
        let bound = socket.local_addr().map_err(system("a listener has no address"))?;
        let told = config.advertised.iter().find(|listener| listener.protocol == *protocol);
        let configured = config.listeners.iter().find(|listener| listener.protocol == *protocol);
        let host = match (told, configured) {
            (Some(told), _) => told.host.clone(),
            (None, Some(listener)) if !config::is_unspecified(&listener.host) => listener.host.clone(),
            // Everybody listens and nobody said what to tell: this machine is the only safe guess.
            _ => "127.0.0.1".to_owned(),
        };
        let port = told.map(|told| told.port).filter(|port| *port != 0).unwrap_or(bound.port());
        let bound_host = match bound.ip() {
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            std::net::IpAddr::V4(ip) => ip.to_string(),
        };
        endpoints.push(Endpoint {
            protocol: *protocol,
            host: Str::from(host),
            port,
            bound_host,
            bound_port: bound.port(),
        });
    }
    Ok(endpoints)
}

const BROKER_JSON: &str = "broker.json";

/// Tells other programs on this machine how to reach this process; whole or not at all.
fn write_broker_json(dir: &Path, identity: &Identity, admin: Option<std::net::SocketAddr>) -> io::Result<()> {
    let content = serde_json::json!({
        "pid": std::process::id(),
        "instance": identity.instance,
        "node_id": identity.node_id,
        "cluster_id": identity.cluster_id,
        "listeners": identity.listeners,
        "admin": admin.map(|address| address.to_string()),
        "version": identity.version,
    });
    let beside = dir.join("broker.json.new");
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec_pretty(&content)?)?;
    std::fs::rename(&beside, dir.join(BROKER_JSON))
}
