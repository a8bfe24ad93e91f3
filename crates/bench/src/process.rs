//! A process under measurement: CPU time and memory from `/proc`, cores by `taskset`, and signals by `kill`.
//!
//! Nothing here knows what the process does. It is always ended by its id, also when a measurement fails half-way.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::clock;

/// Clock ticks a second in `/proc/PID/stat`; Linux has fixed this at 100 for every architecture that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// How long a process may take to end after SIGTERM before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A process is idle when it used less than [`SETTLED_SECONDS`] of CPU in each of so many steps: an idle JVM still
/// works a few milliseconds a second.
const SETTLED_STEPS: usize = 3;
const SETTLE_STEP: Duration = Duration::from_millis(60);
const SETTLED_SECONDS: f64 = 0.015;

/// A process that is never idle must not stop the bench.
const SETTLE_LIMIT: Duration = Duration::from_secs(4);

/// A child process that ends with this value.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program with its output in a file. It is killed when this process ends, however it ends: a stopped
    /// broker would otherwise stay behind for ever.
    pub(crate) fn start(command: &Command, log: &Path) -> Result<Process> {
        let out = fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        let err = out.try_clone().context("share the log file")?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("start {:?}", command.get_program()))?;
        Ok(Process { child })
    }

    /// User and system CPU seconds so far, over all threads.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.proc_file("stat")?;
        // The second field is the command in parentheses and may hold anything; what follows it is regular.
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after.split_whitespace().collect();
        match (fields.get(11), fields.get(12)) {
            (Some(user), Some(system)) => {
                Ok((user.parse::<f64>()? + system.parse::<f64>()?) / TICKS_PER_SECOND)
            }
            _ => bail!("/proc/{}/stat is too short", self.child.id()),
        }
    }

    /// Waits until the process has nothing to do, so that what one load left behind is not counted for the next.
    pub(crate) fn settle(&self) -> Result<()> {
        let asked = clock::now();
        let mut quiet = 0;
        let mut before = self.cpu_seconds()?;
        while quiet < SETTLED_STEPS && asked.elapsed() < SETTLE_LIMIT {
            clock::pause(SETTLE_STEP);
            let now = self.cpu_seconds()?;
            quiet = if now - before < SETTLED_SECONDS { quiet + 1 } else { 0 };
            before = now;
        }
        Ok(())
    }

    /// Resident set size in MB (10^6 bytes); the page cache is not part of it.
    pub(crate) fn rss_mb(&self) -> Result<f64> {
        let status = self.proc_file("status")?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .context("VmRSS is missing")?;
        Ok(kib.parse::<f64>()? * 1024.0 / 1e6)
    }

    /// Pins all threads to the given cores, for instance `0` or `0-1`.
    pub(crate) fn pin(&self, cores: &str) -> Result<()> {
        run(Command::new("taskset").args(["-a", "-p", "-c", cores, &self.child.id().to_string()]))
    }

    /// Sends a signal by name, for instance `STOP`.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        run(Command::new("kill").args(["-s", name, &self.child.id().to_string()]))
    }

    /// Kills with SIGKILL and waits for the end.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill")?;
        self.child.wait().context("wait for the killed process")?;
        Ok(())
    }

    /// Asks it to stop, waits, and kills it when it does not.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.signal("CONT")?;
        self.signal("TERM")?;
        let asked = clock::now();
        while asked.elapsed() < STOP_LIMIT {
            if self.has_ended()? {
                return Ok(());
            }
            clock::pause(Duration::from_millis(20));
        }
        self.kill()
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("look after the process")?.is_some())
    }

    fn proc_file(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("read {path}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The value may go away because of an error elsewhere: nothing better can be done with a second one.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every core that this process was given when it started, as `taskset` names them. It must be asked once before the
/// first pinning.
pub(crate) fn all_cores() -> &'static str {
    static AT_START: OnceLock<String> = OnceLock::new();
    AT_START.get_or_init(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        list.map_or_else(|| "0-1".to_owned(), |list| list.trim().to_owned())
    })
}

/// Runs a command to its end and fails, with its output, when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {shown}"))?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{shown}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
}
