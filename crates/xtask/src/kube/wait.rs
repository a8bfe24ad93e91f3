//! Waiting for other programs: never longer than a stated limit, and never for one that has already ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;

/// How often to look. A look may start a program of some 0.2 CPU seconds.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Lines of a log that a failure shows: enough for a Go program's complaint with its stack.
const TAIL_LINES: usize = 25;

/// Something that is waited for, and where to look when it does not come.
pub(super) struct Wait<'a> {
    /// Continues "until": `the API server is ready`.
    pub(super) what: &'a str,
    pub(super) limit: Duration,
    /// The log of the program that has to do it.
    pub(super) log: &'a Path,
}

impl Wait<'_> {
    /// Looks until it holds. `alive` says whether the program that has to do it still runs.
    pub(super) fn until(
        &self,
        alive: impl Fn() -> bool,
        mut holds: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        let mut waited = Duration::ZERO;
        while !holds() {
            if !alive() {
                bail!("waited until {}, but its program has ended\n{}", self.what, tail(self.log));
            }
            if waited >= self.limit {
                let seconds = self.limit.as_secs();
                bail!("waited {seconds} s in vain until {}\n{}", self.what, tail(self.log));
            }
            pause(&mut waited);
        }
        Ok(())
    }
}

/// Looks until it holds or the limit has passed, and says which.
pub(super) fn holds_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let mut waited = Duration::ZERO;
    while !holds() {
        if waited >= limit {
            return false;
        }
        pause(&mut waited);
    }
    true
}

/// A log's name and its last lines.
pub(super) fn tail(log: &Path) -> String {
    let text = match std::fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return format!("there is no log {}: {error}", log.display()),
    };
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    format!("the end of {}:\n  {}", log.display(), last.join("\n  "))
}

#[expect(clippy::disallowed_methods, reason = "a command line tool that has nothing else to do")]
fn pause(waited: &mut Duration) {
    std::thread::sleep(LOOK_EVERY);
    *waited += LOOK_EVERY;
}

/// A program that goes on running when this one has ended.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    pub(super) pid: u32,
    pub(super) log: PathBuf,
}

impl Daemon {
    /// Whether it runs. One that has ended but whose parent did not ask for its exit code does not.
    pub(super) fn alive(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // `pid (name) state …`; the name may hold anything.
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    }

    /// Waits for something that this program has to do.
    pub(super) fn until(
        &self,
        what: &str,
        limit: Duration,
        holds: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        Wait { what, limit, log: &self.log }.until(|| self.alive(), holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_vain_shows_the_end_of_the_log() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("part.log");
        let lines: Vec<String> = (1..=100).map(|line| format!("line {line}")).collect();
        std::fs::write(&log, lines.join("\n")).expect("write");
        let wait = Wait { what: "it works", limit: Duration::ZERO, log: &log };
        let said = wait.until(|| true, || false).expect_err("in vain").to_string();
        assert!(said.starts_with("waited 0 s in vain until it works"), "{said}");
        assert!(
            said.contains("line 100") && said.contains("line 76") && !said.contains("line 75\n"),
            "{said}"
        );
    }

    #[test]
    fn nothing_is_waited_for_that_has_ended() {
        let wait = Wait { what: "it works", limit: Duration::MAX, log: Path::new("/nowhere") };
        let said = wait.until(|| false, || false).expect_err("ended").to_string();
        assert!(said.contains("its program has ended") && said.contains("/nowhere"), "{said}");
    }
}
