//! One broker: its place on disk, and its process if it has one.
//!
//! What is known of the process is one value, [`Life`]. It changes when we start a process, when one ends (a task waits
//! for that moment), and at adoption. Actions on one broker exclude each other; looking never waits for them.

mod adopt;
mod start;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::clock::System;
use agent::probe;
use agent::{Performed, SubstrateError};
use model::observed::{BrokerSeen, Exit, Process, Readiness};
use model::status::Endpoint;
use model::{BrokerId, Reason};
use rustix::process::Signal;
use tokio::process::Child;
use tokio::sync::{Notify, watch};

use crate::files::{self, Mode};
use crate::layout::{BrokerDir, ClusterDir, Ended, Ports, Record};
use crate::watch::Watch;
use crate::{exit, procfs};

/// How long a broker may take to stop gently before it is killed. It gives its requests 5 s, then closes its logs.
/// What a killed broker has acknowledged is safe; it only has to check its logs at the next start. Our own tests have
/// a broker that never stops and wait less long for it.
const STOP_GRACE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 20 });

/// How long the kernel may take to end a process that was killed: it may have to finish a write to a slow disk.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// What is known of a broker's process.
#[derive(Clone, Debug)]
enum Life {
    /// None was ever started here.
    Never,
    /// It runs.
    Running { record: Record, watch: Arc<Watch> },
    /// The newest one has ended, as the record says.
    Ended { record: Record },
    /// A process runs that no record explains, so nothing can be said about it.
    Unexplained { what: String },
}

/// One broker of one cluster.
#[derive(Debug)]
pub(crate) struct Broker {
    id: BrokerId,
    cluster: ClusterDir,
    dir: BrokerDir,
    life: watch::Sender<Life>,
    ports: Mutex<Option<Ports>>,
    /// One action at a time.
    busy: Arc<tokio::sync::Mutex<()>>,
    /// Told when the process has ended.
    changed: Arc<Notify>,
}

impl Broker {
    /// A broker as the disk and the process table show it. `found` is the process that was started with its
    /// configuration file, if there is one.
    pub(crate) fn adopt(
        cluster: &ClusterDir,
        id: BrokerId,
        found: Option<i32>,
        changed: &Arc<Notify>,
    ) -> io::Result<Arc<Broker>> {
        let dir = cluster.broker(id);
        let ports = adopt::read_json(&dir.ports())?;
        let life = adopt::life(&dir, found)?;
        let broker = Arc::new(Broker {
            id,
            cluster: cluster.clone(),
            dir,
            life: watch::Sender::new(life.clone()),
            ports: Mutex::new(ports),
            busy: Arc::default(),
            changed: Arc::clone(changed),
        });
        if let Life::Running { record, watch } = life {
            tokio::spawn(Arc::clone(&broker).wait_for_stranger(record, watch));
        }
        Ok(broker)
    }

    /// Its ports, once they are chosen.
    pub(crate) fn ports(&self) -> Option<Ports> {
        // A panic of another thread cannot leave a plain value half changed.
        *self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a process runs, as far as anyone knows.
    pub(crate) fn may_run(&self) -> bool {
        matches!(*self.life.borrow(), Life::Running { .. } | Life::Unexplained { .. })
    }

    /// The start that runs.
    pub(crate) fn incarnation(&self) -> Option<String> {
        match &*self.life.borrow() {
            Life::Running { record, .. } => Some(record.incarnation.clone()),
            _ => None,
        }
    }

    /// Returns when no action on it is under way.
    pub(crate) async fn settle(&self) {
        drop(self.busy.lock().await);
    }

    /// How it is; an error is what could not be seen.
    pub(crate) async fn look(&self, host: IpAddr) -> Result<BrokerSeen, String> {
        let life = self.life.borrow().clone();
        let ports = self.ports();
        let (process, readiness, spec, certificate) = match life {
            Life::Never => (Process::Absent, Readiness::Unknown, None, None),
            Life::Unexplained { what } => return Err(what),
            Life::Running { record, .. } => {
                let readiness = match ports {
                    Some(ports) => probe::ask(SocketAddr::new(host, ports.admin), &record.incarnation).await,
                    None => Readiness::Unknown,
                };
                let process = Process::Running { incarnation: record.incarnation, since: record.started_at };
                (process, readiness, Some(record.spec), record.certificate)
            }
            Life::Ended { record } => {
                let unknown =
                    || Ended { at: record.started_at, exit: Exit::Crashed { said: "unknown".to_owned() } };
                let ended = record.ended.clone().unwrap_or_else(unknown);
                let process =
                    Process::Exited { incarnation: record.incarnation, at: ended.at, exit: ended.exit };
                (process, Readiness::Unknown, Some(record.spec), None)
            }
        };
        let endpoint = ports.map(|ports| Endpoint { host: host.to_string(), port: ports.client });
        Ok(BrokerSeen { process, readiness, spec, endpoint, certificate })
    }

    /// Ends a start gently, and waits for it. Another start than the named one is left alone.
    pub(crate) async fn stop(
        &self,
        incarnation: &str,
        spare_recovery: bool,
        host: IpAddr,
    ) -> Result<Performed, SubstrateError> {
        let _busy = self.busy.lock().await;
        let watch = match &*self.life.borrow() {
            Life::Running { record, watch } if record.incarnation == incarnation => Arc::clone(watch),
            _ => return Ok(Performed::Unneeded),
        };
        if spare_recovery {
            self.refuse_if_recovering(incarnation, host).await?;
        }
        self.note_asked();
        watch.signal(Signal::TERM).map_err(|error| self.cannot("tell it to stop", error))?;
        if self.ends_within(STOP_GRACE).await {
            return Ok(Performed::Done);
        }
        if spare_recovery {
            self.refuse_if_recovering(incarnation, host).await?;
        }
        tracing::warn!(
            broker.id = %self.id,
            "broker {} did not stop within {} s and is killed; it will check its logs when it starts",
            self.id,
            STOP_GRACE.as_secs()
        );
        watch.signal(Signal::KILL).map_err(|error| self.cannot("kill it", error))?;
        if self.ends_within(KILL_GRACE).await {
            return Ok(Performed::Done);
        }
        Err(self.cannot("end its process", io::Error::other("it was killed and has not ended yet")))
    }

    async fn refuse_if_recovering(&self, incarnation: &str, host: IpAddr) -> Result<(), SubstrateError> {
        let Some(ports) = self.ports() else { return Ok(()) };
        match probe::ask(SocketAddr::new(host, ports.admin), incarnation).await {
            Readiness::Recovering { done, total } => {
                let why = format!("it checks its logs ({done} of {total}) and is left alone until then");
                Err(self.cannot("stop it", io::Error::other(why)))
            }
            Readiness::Ready
            | Readiness::Unreached { .. }
            | Readiness::NotReady { .. }
            | Readiness::Held { .. }
            | Readiness::Unknown => Ok(()),
        }
    }

    /// Deletes its place. Whoever calls this forgets the broker afterwards.
    pub(crate) async fn remove(self: &Arc<Self>) -> Result<Performed, SubstrateError> {
        let busy = Arc::clone(&self.busy).lock_owned().await;
        if self.may_run() {
            return Err(self.cannot("delete its data", io::Error::other("its process still runs")));
        }
        let broker = Arc::clone(self);
        let removed = tokio::task::spawn_blocking(move || {
            let _busy = busy;
            let aside = broker.cluster.removing(broker.id);
            files::remove_dir(&aside)?;
            match std::fs::rename(broker.dir.path(), &aside) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                result => result?,
            }
            files::remove_dir(&aside)
        });
        let removed =
            removed.await.map_err(|error| SubstrateError::transient("deleting a broker broke off", error))?;
        removed.map(|()| Performed::Done).map_err(|error| self.cannot("delete its data", error))
    }

    /// Waits until no process runs, but no longer than that.
    async fn ends_within(&self, patience: Duration) -> bool {
        let mut life = self.life.subscribe();
        let ended = life.wait_for(|life| !matches!(life, Life::Running { .. }));
        tokio::time::timeout(patience, ended).await.is_ok()
    }

    async fn wait_for_child(self: Arc<Self>, record: Record, mut child: Child) {
        let status = child.wait().await;
        let words = exit::last_words(&self.dir.log(), record.log_offset);
        let exit = match status {
            Ok(status) => exit::of_child(status, self.was_asked(), words),
            Err(error) => Exit::Crashed { said: format!("its exit status could not be read: {error}") },
        };
        self.note_end(&record.incarnation, exit);
    }

    async fn wait_for_stranger(self: Arc<Self>, record: Record, watch: Arc<Watch>) {
        if let Err(error) = watch.ended().await {
            tracing::warn!(broker.id = %self.id, "the end of broker {} cannot be waited for: {error}", self.id);
            // Then it is looked for. A second is short beside the time in which anybody notices.
            while record.process.as_ref().is_some_and(|it| procfs::is_running(it).unwrap_or(true)) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        let words = exit::last_words(&self.dir.log(), record.log_offset);
        self.note_end(&record.incarnation, exit::of_stranger(self.was_asked(), words));
    }

    fn was_asked(&self) -> bool {
        matches!(&*self.life.borrow(), Life::Running { record, .. } if record.asked_to_stop)
    }

    fn note_asked(&self) {
        self.change(|life| match life {
            Life::Running { record, .. } => {
                record.asked_to_stop = true;
                Some(record.clone())
            }
            _ => None,
        });
    }

    fn note_end(&self, incarnation: &str, exit: Exit) {
        self.change(|life| match life {
            Life::Running { record, .. } if record.incarnation == incarnation => {
                let mut record = record.clone();
                record.ended = Some(Ended { at: System::now(), exit });
                *life = Life::Ended { record: record.clone() };
                Some(record)
            }
            _ => None,
        });
        self.changed.notify_one();
    }

    /// Changes what is known and stores the record that comes of it.
    fn change(&self, change: impl FnOnce(&mut Life) -> Option<Record>) {
        let mut changed = None;
        self.life.send_modify(|life| changed = change(life));
        if let Some(record) = changed {
            self.remember(&record);
        }
    }

    /// Stores the record. If that fails, the process table still tells the next server whether the broker runs.
    fn remember(&self, record: &Record) {
        if let Err(error) = files::replace_quickly(&self.dir.record(), &to_json(record), Mode::Public) {
            let path = self.dir.record();
            tracing::warn!(broker.id = %self.id, "could not write {}: {error}", path.display());
        }
    }

    /// An error of the system, sorted by what helps.
    fn cannot(&self, what: &str, error: io::Error) -> SubstrateError {
        let step = format!("could not {what} (broker {}, {})", self.id, self.dir.path().display());
        sort(step, error)
    }
}

/// Sorts an error of the system by who can help.
pub(crate) fn sort(step: String, error: io::Error) -> SubstrateError {
    let help = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (Reason::BadConfiguration, "make it accessible to the user who runs penstock-server")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Reason::StorageFailed, "free some space there")
        }
        _ => return SubstrateError::transient(step, error),
    };
    SubstrateError::Blocked { reason: help.0, message: format!("{step}: {error}; {}", help.1) }
}

fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("our own structs have string keys and finite numbers")
}
