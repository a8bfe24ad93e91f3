//! `penstock-server` as a child of `up`: started, watched, started again when it dies, stopped.
//!
//! It holds the other end of a pipe, so that it ends when `up` ends in any way, and it has a process group of its own,
//! so that Ctrl-C reaches only `up`, which stops things in order.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::directory;
use crate::failure::{Exit, Failure};
use crate::output::Output;

const PROGRAM: &str = "penstock-server";
const LOG: &str = "server.log";

/// The account that `up` works for.
const OWNER: &str = "local";

/// The start of a server on a new machine migrates a database in well under a second; this is a machine on its knees.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server finishes requests for ten seconds at most.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// The pause before a server that died is started again, and the longest one.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
const RESTART_PAUSE_MOST: Duration = Duration::from_secs(10);

/// A log that has grown beyond this is begun anew at the next start of `up`.
const LOG_MOST_BYTES: u64 = 20 * 1024 * 1024;

/// How much of its log is searched for the reason of a failed start.
const REASON_BYTES: u64 = 16 * 1024;

/// What the ready line said.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// `https://localhost:port`.
    pub(crate) url: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its CA certificate.
    pub(crate) ca_file: PathBuf,
}

pub(crate) struct Server {
    dir: PathBuf,
    program: PathBuf,
    database_url: SecretString,
    listen: SocketAddr,
    child: Option<Child>,
    /// Kept apart from the child, since waiting for that would close it.
    tether: Option<ChildStdin>,
}

/// The server's program, which lies beside this one; makes room for its log.
pub(crate) fn program(dir: &Path) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().context("cannot tell where this program lies");
    let program = own.map_err(Failure::internal)?.with_file_name(PROGRAM);
    if !program.is_file() {
        return Err(Failure::new(Exit::Failed, "incomplete", format!("{} is not there", program.display()))
            .advice("build it: `cargo xtask up` builds all programs that belong together"));
    }
    let log = dir.join(LOG);
    if log.metadata().is_ok_and(|log| log.len() > LOG_MOST_BYTES) {
        let anew = File::create(&log).with_context(|| format!("cannot write {}", log.display()));
        anew.map_err(Failure::internal)?;
    }
    Ok(program)
}

impl Server {
    pub(crate) fn new(
        dir: &Path,
        program: PathBuf,
        database_url: SecretString,
        listen: SocketAddr,
    ) -> Server {
        Server { dir: dir.to_owned(), program, database_url, listen, child: None, tether: None }
    }

    /// Starts it and waits until it answers requests.
    pub(crate) async fn start(&mut self) -> Result<Ready, Failure> {
        // One whose `up` was killed is on its way out.
        directory::released(&self.dir, directory::SERVER_LOCK, STOP_WITHIN).await;
        let log = self.log().map_err(Failure::internal)?;
        let log_from = log.metadata().map_or(0, |log| log.len());
        let mut child = Command::new(&self.program)
            .arg("--dir")
            .arg(&self.dir)
            .args(["--listen", &self.listen.to_string(), "--owner", OWNER, "--stop-with-stdin"])
            .env("PENSTOCK_DATABASE_URL", self.database_url.expose_secret())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))
            .map_err(Failure::internal)?;
        let stdout = child.stdout.take();
        self.tether = child.stdin.take();
        self.child = Some(child);
        let mut line = String::new();
        if let Some(stdout) = stdout {
            let mut stdout = BufReader::new(stdout);
            let read = tokio::time::timeout(READY_WITHIN, stdout.read_line(&mut line)).await;
            if read.is_err() {
                let what = format!("{PROGRAM} is not ready after {} s", READY_WITHIN.as_secs());
                return Err(self.failed(what, log_from));
            }
        }
        match parse(&line) {
            Some(ready) => {
                // The same address again, should it have to be started again.
                self.listen = ready.address;
                Ok(ready)
            }
            None => Err(self.failed(format!("{PROGRAM} did not start"), log_from)),
        }
    }

    /// Starts it again whenever it ends. Runs until it is dropped.
    pub(crate) async fn keep_running(&mut self, output: &Output) {
        loop {
            let ended = match &mut self.child {
                Some(child) => {
                    child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string())
                }
                None => "it is not running".to_owned(),
            };
            output.say(&format!("The server ended unasked ({ended}); starting it again."));
            let mut pause = RESTART_PAUSE;
            while let Err(failure) = self.start().await {
                failure.report(output);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RESTART_PAUSE_MOST);
            }
            output.say("The server runs again.");
        }
    }

    /// Stops it in an orderly way, or, if it does not follow, at all.
    pub(crate) async fn stop(mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Some(process) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(process, Signal::TERM);
        }
        if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
            // Nothing is lost: whatever matters is committed.
            let _ = child.kill().await;
        }
    }

    fn log(&self) -> anyhow::Result<File> {
        let path = self.dir.join(LOG);
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn failed(&self, what: String, log_from: u64) -> Failure {
        let path = self.dir.join(LOG);
        let failure = Failure::new(Exit::Failed, "server", what).advice(format!("see {}", path.display()));
        let said = said_since(&path, log_from).unwrap_or_default();
        match reason(&said) {
            Some(reason) => failure.why(reason),
            None => failure,
        }
    }
}

/// What a server that did not start said about it: its last sentence, or how it broke down, or its last line.
fn reason(said: &str) -> Option<&str> {
    let sentence = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
    let panic = || said.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
    sentence.or_else(panic).or_else(|| said.lines().rev().find(|line| !line.trim().is_empty()))
}

/// The end of what was written to the log.
fn said_since(log: &Path, from: u64) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(REASON_BYTES))))?;
    let mut said = Vec::new();
    file.read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Reads `ready url=https://localhost:8443 listen=127.0.0.1:8443 ca=/path`; the path comes last, since it may hold spaces.
fn parse(line: &str) -> Option<Ready> {
    let rest = line.trim_end().strip_prefix("ready url=")?;
    let (url, rest) = rest.split_once(" listen=")?;
    let (address, ca_file) = rest.split_once(" ca=")?;
    Some(Ready { url: url.to_owned(), address: address.parse().ok()?, ca_file: PathBuf::from(ca_file) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failed_start_is_found() {
        assert_eq!(reason("INFO a\nerror: the port is taken\n"), Some("the port is taken"));
        assert_eq!(reason("thread 'main' panicked at x.rs:1:\nbad route\nstack\n"), Some("bad route"));
        assert_eq!(reason("INFO a\n\n"), Some("INFO a"));
        assert_eq!(reason(""), None);
    }

    #[test]
    fn the_ready_line_reads() {
        let ready = parse("ready url=https://localhost:1 listen=127.0.0.1:1 ca=/a b/ca.pem\n").unwrap();
        assert_eq!(ready.url, "https://localhost:1");
        assert_eq!(ready.address, "127.0.0.1:1".parse().unwrap());
        assert_eq!(ready.ca_file, Path::new("/a b/ca.pem"));
        assert!(parse("").is_none());
    }
}
