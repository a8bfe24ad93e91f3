//! The running server: start or adopt, restart, keep running, stop, remove.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::process::Child;

use crate::find::{self, Installation};
use crate::home::{DATABASE, Home, USER};
use crate::postmaster::{self, Running};
use crate::{Error, io_error};

/// How long a start may take. A server that was killed replays its log first, at some 100 MB/s, and keeps at
/// most 1 GB of it (`max_wal_size`): ten seconds on a slow disk. Six times that is stuck.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stop that cancels all sessions may take: it ends with a checkpoint, and 128 MB of dirty
/// buffers are written in seconds even by a slow disk.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long another process may hold the lock: it starts the server meanwhile.
const LOCK_TIMEOUT: Duration = Duration::from_secs(90);

/// Between two looks at a state that changes in milliseconds to seconds. A look reads one small file.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Between two looks whether an adopted server still lives; a child of our own is waited for instead.
const ALIVE_EVERY: Duration = Duration::from_millis(200);

/// The first pause before a server that died is started again, and the longest: a kill is healed at once, a
/// server that cannot start (full disk) is not tried in a tight loop.
const RESTART_PAUSE: Duration = Duration::from_millis(50);
const RESTART_PAUSE_MOST: Duration = Duration::from_secs(10);

/// Sessions of the private server. The platform's pool has a few tens; a test run has one small pool for each
/// test that runs at the same time. A place costs some kilobytes.
const MAX_CONNECTIONS: u32 = 200;

/// What the server may forget when the machine loses power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was committed: for a database that somebody keeps.
    Durable,
    /// Everything: no fsync at all, for a database that lives as long as a test.
    Disposable,
}

/// A private Postgres server. Dropping this value leaves the server running.
#[derive(Debug)]
pub struct Managed {
    home: Home,
    installation: Installation,
    durability: Durability,
    /// The server when this process started it; an adopted one is known by its process id only.
    child: Option<Child>,
    pid: i32,
    url: SecretString,
    adopted: bool,
    /// Open as long as this process lives: see [`Managed::stop_with_this_process`].
    tether: Option<ChildStdin>,
}

impl Managed {
    /// Starts the Postgres of a directory, or adopts it if it runs already. Makes the directory, the data in
    /// it and an empty database the first time.
    pub async fn start(dir: &Path, durability: Durability) -> Result<Managed, Error> {
        let home = Home::prepare(dir)?;
        let lock = lock(&home).await?;
        let installation = find::choose(home.major().as_deref(), &home.data)?;
        if !home.initialised() {
            initialise(&home, &installation, durability).await?;
        }
        let url = SecretString::default();
        let mut managed = Managed {
            home,
            installation,
            durability,
            child: None,
            pid: 0,
            url,
            adopted: false,
            tether: None,
        };
        if let Some(running) = postmaster::running(&managed.home.data) {
            managed.adopted = true;
            managed.pid = running.pid;
            if let Ok(port) = managed.wait_ready(0).await {
                managed.url = managed.url_at(port)?;
                return Ok(managed);
            }
            // It was on its way down when we looked.
            managed.adopted = false;
        }
        managed.launch().await?;
        drop(lock);
        Ok(managed)
    }

    /// `postgres://…` with the password. It stays the same over restarts unless another program took the port.
    pub fn url(&self) -> &SecretString {
        &self.url
    }

    /// The server's process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether the server ran already when [`Managed::start`] was called.
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// The folder of the programs in use and their major version.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Waits until the server has ended, whoever ended it. Can be cancelled and called again.
    pub async fn ended(&mut self) {
        match &mut self.child {
            // The only error is that somebody else waited for the process: it has ended then too.
            Some(child) => drop(child.wait().await),
            None => {
                while postmaster::works_in(self.pid, &self.home.data) {
                    tokio::time::sleep(ALIVE_EVERY).await;
                }
            }
        }
    }

    /// Starts the server again whenever it ends. Runs until it is dropped.
    pub async fn keep_running(&mut self) {
        loop {
            self.ended().await;
            tracing::warn!(postgres.pid = self.pid, "Postgres ended unasked; starting it again");
            let mut pause = RESTART_PAUSE;
            while let Err(error) = self.restart().await {
                tracing::error!(%error, "could not start Postgres again; next try in {} ms", pause.as_millis());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RESTART_PAUSE_MOST);
            }
            tracing::info!(postgres.pid = self.pid, "Postgres runs again");
        }
    }

    /// Stops the server if it runs, and starts it.
    pub async fn restart(&mut self) -> Result<(), Error> {
        let _lock = lock(&self.home).await?;
        self.end().await?;
        self.adopted = false;
        self.launch().await
    }

    /// Stops the server: sessions are cancelled, committed data is kept.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.end().await
    }

    /// Lets the server live no longer than this process (or this value), however that ends, and removes the
    /// directory then: a shell waits for the pipe from this process to close, which even `kill -9` causes.
    pub fn stop_with_this_process(&mut self) -> Result<(), Error> {
        const SCRIPT: &str = r#"
            trap '' INT TERM HUP
            cat >/dev/null
            lives() { [ "$(readlink "/proc/$pid/cwd")" = "$1" ]; }
            pid=$(head -n 1 "$1/postmaster.pid")
            if [ -n "$pid" ] && lives "$1"; then
                kill -QUIT "$pid"
                while lives "$1"; do sleep 0.05; done
            fi
            rm -rf -- "$1" "$2"
        "#;
        let shell = Path::new("/bin/sh");
        let mut command = std::process::Command::new(shell);
        command.args(["-c", SCRIPT, "sh"]).arg(&self.home.data).arg(&self.home.dir).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().map_err(io_error("start", shell))?;
        self.tether = child.stdin.take();
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Error> {
        // A start that was given up half-way left a child without a file, an adopted server has only a file.
        let pid = postmaster::running(&self.home.data).map(|running| running.pid);
        let pid = pid.or_else(|| self.child.as_ref()?.id().and_then(|pid| i32::try_from(pid).ok()));
        if let Some(pid) = pid {
            end_process(pid, &self.home).await?;
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait().await;
        }
        Ok(())
    }

    /// Starts the process and waits until it accepts connections.
    async fn launch(&mut self) -> Result<(), Error> {
        let give_up = tokio::time::Instant::now() + START_TIMEOUT;
        loop {
            let port = self.free_port()?;
            let log_from = self.spawn(port)?;
            let error = match self.wait_ready(log_from).await {
                Ok(port) => {
                    self.home.remember_port(port)?;
                    self.url = self.url_at(port)?;
                    return Ok(());
                }
                Err(error) => error,
            };
            // Two causes pass: somebody took the port between our look and the start; and processes of a
            // killed server, which end by themselves, still hold its memory.
            let passes = matches!(&error, Error::Ended { said, .. }
                if said.contains("could not create any TCP/IP sockets") || said.contains("is still in use"));
            if !passes || tokio::time::Instant::now() > give_up {
                return Err(error);
            }
            tokio::time::sleep(LOOK_EVERY * 10).await;
        }
    }

    /// Starts the process. Returns the length that its log had before.
    fn spawn(&mut self, port: u16) -> Result<u64, Error> {
        let (log, log_from) = self.home.open_log()?;
        let program = self.installation.postgres();
        let mut command = self.home.account.command(&program);
        // Its own process group: an interrupt typed at the terminal goes to the caller, which stops the
        // server when its own users are done.
        command.process_group(0).current_dir("/").arg("-D").arg(&self.home.data);
        for setting in settings(port, self.durability) {
            command.arg("-c").arg(setting);
        }
        let errors = log.try_clone().map_err(io_error("share", &self.home.log()))?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = tokio::process::Command::from(command).spawn().map_err(io_error("start", &program))?;
        self.pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        self.child = Some(child);
        Ok(log_from)
    }

    /// Waits until the process accepts connections, and returns its port.
    async fn wait_ready(&mut self, log_from: u64) -> Result<u16, Error> {
        let give_up = tokio::time::Instant::now() + START_TIMEOUT;
        loop {
            let ended = match &mut self.child {
                Some(child) => !matches!(child.try_wait(), Ok(None)),
                None => !postmaster::works_in(self.pid, &self.home.data),
            };
            if ended {
                self.child = None;
                return Err(Error::Ended { log: self.home.log(), said: self.home.log_since(log_from) });
            }
            match postmaster::running(&self.home.data) {
                Some(Running { pid, port: Some(port), ready: true }) if pid == self.pid => return Ok(port),
                _ if tokio::time::Instant::now() > give_up => {
                    return Err(slow("ready", START_TIMEOUT, &self.home));
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// The port of last time if it is free, or any free one.
    fn free_port(&self) -> Result<u16, Error> {
        let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let remembered = self.home.remembered_port().and_then(|port| free(port).ok());
        let listener = match remembered {
            Some(listener) => Ok(listener),
            None => free(0),
        };
        let found = listener.and_then(|listener| listener.local_addr());
        Ok(found.map_err(io_error("find a free port for", &self.home.data))?.port())
    }

    fn url_at(&self, port: u16) -> Result<SecretString, Error> {
        let password = self.home.password()?;
        Ok(format!("postgres://{USER}:{}@127.0.0.1:{port}/{DATABASE}", password.expose_secret()).into())
    }
}

/// Settings of the command line: the files in the data directory stay as initdb made them.
fn settings(port: u16, durability: Durability) -> Vec<String> {
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        format!("max_connections={MAX_CONNECTIONS}"),
        // One machine shares its memory with brokers; the platform's tables are small.
        "shared_buffers=64MB".to_owned(),
        "logging_collector=off".to_owned(),
        "log_line_prefix=%m [%p] ".to_owned(),
    ];
    if durability == Durability::Disposable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(str::to_owned));
    }
    settings
}

/// Runs for about a second, so not on a worker of the runtime.
async fn initialise(home: &Home, with: &Installation, durability: Durability) -> Result<(), Error> {
    let (home, with) = (home.clone(), with.clone());
    match tokio::task::spawn_blocking(move || home.initialise(&with, durability)).await {
        Ok(made) => made,
        Err(died) => std::panic::resume_unwind(died.into_panic()),
    }
}

/// Stops the Postgres of a directory, if one runs there. Returns whether one did.
pub async fn stop(dir: &Path) -> Result<bool, Error> {
    let Some(home) = Home::existing(dir) else { return Ok(false) };
    let Some(running) = postmaster::running(&home.data) else { return Ok(false) };
    end_process(running.pid, &home).await?;
    Ok(true)
}

/// Stops the Postgres of a directory and removes the directory, and its data where that lies elsewhere.
pub async fn purge(dir: &Path) -> Result<(), Error> {
    stop(dir).await?;
    let Some(home) = Home::existing(dir) else { return Ok(()) };
    for place in home.outside().into_iter().chain([home.dir.as_path()]) {
        match std::fs::remove_dir_all(place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error("remove", place)(error));
            }
            _ => {}
        }
    }
    if let Some(shared) = home.outside().and_then(Path::parent) {
        // Fails while another directory's data is there, as it should.
        let _ = std::fs::remove_dir(shared);
    }
    Ok(())
}

/// Asks for a fast stop, then for an immediate one, and waits.
async fn end_process(pid: i32, home: &Home) -> Result<(), Error> {
    for signal in [Signal::INT, Signal::QUIT] {
        if let Some(process) = Pid::from_raw(pid) {
            // The process may have ended meanwhile, which the look below finds out.
            let _ = kill_process(process, signal);
        }
        let give_up = tokio::time::Instant::now() + STOP_TIMEOUT;
        while tokio::time::Instant::now() < give_up {
            if !postmaster::works_in(pid, &home.data) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Err(slow("stopped", STOP_TIMEOUT * 2, home))
}

/// Holds the directory's lock until the file is dropped.
async fn lock(home: &Home) -> Result<File, Error> {
    let path = home.dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io_error("open", &path))?;
    let give_up = tokio::time::Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
            Err(std::fs::TryLockError::WouldBlock) if tokio::time::Instant::now() > give_up => {
                return Err(Error::Locked { dir: home.dir.clone(), after_seconds: LOCK_TIMEOUT.as_secs() });
            }
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

fn slow(wanted: &'static str, after: Duration, home: &Home) -> Error {
    Error::Slow { wanted, after_seconds: after.as_secs(), log: home.log() }
}
