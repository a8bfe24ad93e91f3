//! Starting a broker: write what it needs, start its process, take hold of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, PoisonError};

use agent::clock::System;
use agent::{Performed, SubstrateError};
use model::Reason;
use model::action::BrokerSpec;
use tokio::process::{Child, Command};
use uuid::Uuid;

use super::{Broker, Life, to_json};
use crate::files::{self, Mode};
use crate::layout::{Ports, ProcessId, Record};
use crate::watch::Watch;
use crate::{authority, procfs, properties};

/// At this size a broker's log is set aside at the next start; one older log is kept.
const LOG_BYTES: u64 = 16 << 20;

/// The variables of our environment that a broker gets to see: those that say how to log and where the zone files are.
/// Everything else stays here; a database's address, for instance, has its password in it.
const ENVIRONMENT: [&str; 5] = ["PATH", "TZ", "LANG", "RUST_BACKTRACE", "PENSTOCK_LOG"];

impl Broker {
    /// Starts a process from a specification, unless one runs. Goes on even if the caller loses interest: a start that
    /// is dropped in the middle could leave a process that nobody knows of. `lock` is kept until then: the next server
    /// on this directory must not look for processes while one is about to come into being.
    pub(crate) async fn start(
        self: &Arc<Self>,
        spec: &BrokerSpec,
        binary: &Path,
        host: IpAddr,
        ports: Ports,
        lock: Arc<File>,
    ) -> Result<Performed, SubstrateError> {
        let busy = Arc::clone(&self.busy).lock_owned().await;
        let (broker, spec, binary) = (Arc::clone(self), spec.clone(), binary.to_owned());
        let started = tokio::spawn(async move {
            // Dropped in this order: who waits for the action to end may then take the lock.
            let _held = (lock, busy);
            broker.start_alone(&spec, &binary, host, ports).await
        });
        started.await.map_err(|error| SubstrateError::transient("starting a broker broke off", error))?
    }

    async fn start_alone(
        self: &Arc<Self>,
        spec: &BrokerSpec,
        binary: &Path,
        host: IpAddr,
        ports: Ports,
    ) -> Result<Performed, SubstrateError> {
        if self.may_run() {
            return Ok(Performed::Unneeded);
        }
        if !binary.is_file() {
            return Err(SubstrateError::Blocked {
                reason: Reason::ReleaseMissing,
                message: format!(
                    "the broker of release {} is not at {}; build or install it there",
                    spec.release,
                    binary.display()
                ),
            });
        }
        let (broker, for_files) = (Arc::clone(self), spec.clone());
        let prepared = tokio::task::spawn_blocking(move || broker.prepare(&for_files, host, ports)).await;
        let mut record =
            prepared.map_err(|error| SubstrateError::transient("writing files broke off", error))??;
        let mut child = match self.spawn(binary) {
            Ok(child) => child,
            Err(error) => return Err(self.cannot(&format!("run {}", binary.display()), error)),
        };
        let (watch, process) = match hold(&child) {
            Ok(held) => held,
            Err(error) => {
                // A process that cannot be watched must not live on unknown.
                if let Err(kill) = child.kill().await {
                    tracing::warn!(broker.id = %self.id, "could not end a process that cannot be watched: {kill}");
                }
                return Err(self.cannot("watch its process", error));
            }
        };
        record.process = process;
        self.remember(&record);
        let watch = Arc::new(watch);
        self.life.send_replace(Life::Running { record: record.clone(), watch });
        tokio::spawn(Arc::clone(self).wait_for_child(record, child));
        Ok(Performed::Done)
    }

    /// Writes everything that a start needs. The record comes last: from then on a process may exist.
    fn prepare(&self, spec: &BrokerSpec, host: IpAddr, ports: Ports) -> Result<Record, SubstrateError> {
        let write = |error| self.cannot("write to its directory", error);
        files::make_private_dir(self.dir.path()).map_err(write)?;
        if self.ports() != Some(ports) {
            // Clients keep these addresses, so they must survive a loss of power.
            files::replace(&self.dir.ports(), &to_json(&ports), Mode::Public).map_err(write)?;
            *self.ports.lock().unwrap_or_else(PoisonError::into_inner) = Some(ports);
        }
        let now = System::now();
        let issued = authority::issue(&self.cluster, &spec.cluster_name, &self.dir, host, now);
        let certificate = issued.map_err(|error| match error {
            authority::AuthorityError::Io(error) => write(error),
            authority::AuthorityError::Pki(error) => {
                SubstrateError::transient("could not make a certificate", error)
            }
        })?;
        let incarnation = Uuid::new_v4().to_string();
        let text = properties::of(spec, &incarnation, host, ports, &self.dir);
        files::replace_quickly(&self.dir.client_cas(), spec.client_cas.concat().as_bytes(), Mode::Public)
            .map_err(write)?;
        files::replace_quickly(&self.dir.properties(), text.as_bytes(), Mode::Public).map_err(write)?;
        let record = Record {
            incarnation,
            spec: spec.fingerprint(),
            started_at: now,
            certificate: Some(certificate),
            log_offset: self.cut_log().map_err(write)?,
            process: None,
            asked_to_stop: false,
            ended: None,
        };
        files::replace_quickly(&self.dir.record(), &to_json(&record), Mode::Public).map_err(write)?;
        Ok(record)
    }

    /// Sets a long log aside and returns how long the log is now.
    fn cut_log(&self) -> io::Result<u64> {
        let length = match std::fs::metadata(self.dir.log()) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if length < LOG_BYTES {
            return Ok(length);
        }
        std::fs::rename(self.dir.log(), self.dir.older_log())?;
        Ok(0)
    }

    fn spawn(&self, binary: &Path) -> io::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(self.dir.log())?;
        let mut command = Command::new(binary);
        command
            .arg("run")
            .arg("--config")
            .arg(self.dir.properties())
            .current_dir(self.dir.path())
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| ENVIRONMENT.iter().any(|known| name == known)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C in the server's terminal is meant for the server.
            .process_group(0)
            .kill_on_drop(false);
        command.spawn()
    }
}

/// Takes hold of a child. Nobody has waited for it, so its number is still its own; it may have ended already.
fn hold(child: &Child) -> io::Result<(Watch, Option<ProcessId>)> {
    let gone = || io::Error::other("it is gone");
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or_else(gone)?;
    let watch = Watch::open(pid)?.ok_or_else(gone)?;
    Ok((watch, procfs::process(pid)?))
}
