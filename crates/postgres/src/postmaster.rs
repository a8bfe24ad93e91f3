//! `postmaster.pid`: what a running server says about itself in its data directory.
//!
//! The file is Postgres's own lock and is rewritten as the server's state changes. It can be left over from a
//! crash, so a process id from it counts only when that process works in this data directory.

use std::path::{Path, PathBuf};

/// A server that runs in a data directory right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: i32,
    /// Absent in the first instants of a start.
    pub(crate) port: Option<u16>,
    /// Whether connections are accepted.
    pub(crate) ready: bool,
}

/// Line numbers of `postmaster.pid`, from 0 (Postgres's `miscinit.h`; the same since version 10).
const PID_LINE: usize = 0;
const PORT_LINE: usize = 3;
const STATUS_LINE: usize = 7;

/// The server that runs in `data` (an absolute path without links), or none.
pub(crate) fn running(data: &Path) -> Option<Running> {
    let said = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let running = parse(&said)?;
    works_in(running.pid, data).then_some(running)
}

/// Whether the process lives and has `data` as working directory, as every process of a server has. A zombie
/// has none, so a server that nobody waited for does not count as running.
pub(crate) fn works_in(pid: i32, data: &Path) -> bool {
    std::fs::read_link(PathBuf::from(format!("/proc/{pid}/cwd"))).is_ok_and(|cwd| cwd == data)
}

fn parse(said: &str) -> Option<Running> {
    let line = |number: usize| said.lines().nth(number).map(str::trim);
    let pid: i32 = line(PID_LINE)?.parse().ok().filter(|pid| *pid > 1)?;
    let port = line(PORT_LINE).and_then(|port| port.parse().ok());
    Some(Running { pid, port, ready: line(STATUS_LINE) == Some("ready") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_server_tells_pid_and_port() {
        let said = "4711\n/d/data\n1763967600\n41234\n\n127.0.0.1\n  1234567         0\nready   \n";
        assert_eq!(parse(said), Some(Running { pid: 4711, port: Some(41234), ready: true }));
    }

    #[test]
    fn a_starting_server_is_not_ready() {
        let said = "4711\n/d/data\n1763967600\n41234\n\n127.0.0.1\n  1234567         0\nstarting\n";
        assert_eq!(parse(said), Some(Running { pid: 4711, port: Some(41234), ready: false }));
    }

    #[test]
    fn a_torn_file_is_no_server() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("-4711\n"), None, "a single-user backend, which accepts nobody");
        assert_eq!(parse("4711\n/d"), Some(Running { pid: 4711, port: None, ready: false }));
    }

    #[test]
    fn a_process_elsewhere_is_not_ours() {
        let own = i32::try_from(std::process::id()).expect("a process id fits");
        assert!(!works_in(own, Path::new("/nonexistent/data")));
    }
}
