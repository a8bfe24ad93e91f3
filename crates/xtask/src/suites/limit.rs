//! Running one test with a limit, its output in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::result::Outcome;

/// How long a program may take to end after it was asked to.
const KILL_AFTER: &str = "--kill-after=5";

/// What `timeout` exits with when it had to end a program, and when it had to kill it.
const TIMED_OUT: [i32; 2] = [124, 137];

/// A test that ended.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
    /// Why it failed: its exit or its limit.
    pub(super) why: String,
    pub(super) log: PathBuf,
}

/// Starts a command that is ended with everything it started when its time is over.
pub(super) fn limited(seconds: u32, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args([KILL_AFTER, &seconds.to_string()]).arg(program);
    command
}

/// Runs a [`limited`] command; all that it prints goes to `log`.
pub(super) fn run(command: &mut Command, log: PathBuf) -> anyhow::Result<Ended> {
    let began = now();
    let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let status = command.status().context("start `timeout`")?;
    let (outcome, why) = match status.code() {
        Some(0) => (Outcome::Passed, String::new()),
        Some(code) if TIMED_OUT.contains(&code) => (Outcome::Failed, "time limit".to_owned()),
        _ => (Outcome::Failed, last_line(&log).unwrap_or_else(|| status.to_string())),
    };
    Ok(Ended { outcome, took: began.elapsed(), why, log })
}

#[expect(clippy::disallowed_methods, reason = "how long a test took is only shown")]
fn now() -> Instant {
    Instant::now()
}

/// What a program said last is usually why it ended.
fn last_line(log: &Path) -> Option<String> {
    /// One line of a terminal.
    const SHOWN_CHARS: usize = 150;
    let text = std::fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().take(SHOWN_CHARS).collect())
}
