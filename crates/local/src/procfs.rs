//! Which process is alive, as `/proc` tells it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::layout::ProcessId;

/// Which run of the machine this is; process ids and start times mean nothing across two of them.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The process of that number, if it runs. One that has ended and waits for its parent does not.
pub(crate) fn process(pid: i32) -> io::Result<Option<ProcessId>> {
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        // ESRCH: it ended between opening and reading.
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let Some((state, start_ticks)) = state_and_start(&stat) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {stat:?}")));
    };
    if matches!(state, 'Z' | 'X') {
        return Ok(None);
    }
    Ok(Some(ProcessId { pid, start_ticks, boot_id: boot_id()? }))
}

/// Whether exactly that process runs.
pub(crate) fn is_running(wanted: &ProcessId) -> io::Result<bool> {
    Ok(process(wanted.pid)?.as_ref() == Some(wanted))
}

/// The state and the start time. The command, second field, may hold blanks and parentheses; what follows the last
/// parenthesis does not.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let (_, after) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    // State is the third field of the whole line, the start time the 22nd.
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?))
}

/// The processes that were started with `--config FILE` for a file below a directory. This finds brokers whose start
/// was not recorded because the server died at that moment.
pub(crate) fn started_with_config_below(dir: &Path) -> io::Result<BTreeMap<PathBuf, i32>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if let Some(config) = config_argument(pid)
            && config.starts_with(dir)
        {
            found.insert(config, pid);
        }
    }
    Ok(found)
}

/// What follows `--config` in a process's command line. Processes come and go while we read: those are skipped.
pub(crate) fn config_argument(pid: i32) -> Option<PathBuf> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut arguments = line.split(|byte| *byte == 0);
    arguments.find(|argument| argument == b"--config")?;
    Some(PathBuf::from(String::from_utf8(arguments.next()?.to_vec()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_blanks_and_parentheses_confuses_nobody() {
        let stat = "6476 (a) b (c) R 6431 6425 15333 0 -1 4228108 74 0 1 0 0 0 0 0 20 0 1 0 272036 0 0";
        assert_eq!(state_and_start(stat), Some(('R', 272_036)));
        assert_eq!(state_and_start("6476"), None);
    }

    #[test]
    fn this_process_runs_and_an_older_one_of_its_number_does_not() {
        let me = process(std::process::id() as i32).unwrap().unwrap();
        assert!(is_running(&me).unwrap());
        let older = ProcessId { start_ticks: me.start_ticks - 1, ..me.clone() };
        assert!(!is_running(&older).unwrap());
        let of_another_run = ProcessId { boot_id: "another".to_owned(), ..me };
        assert!(!is_running(&of_another_run).unwrap());
    }

    #[test]
    fn a_process_that_has_ended_and_was_not_waited_for_does_not_run() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::PidfdFlags::empty(),
        )
        .unwrap();
        let mut poll = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut poll, None).unwrap();
        assert_eq!(process(pid).unwrap(), None);
        child.wait().unwrap();
        assert_eq!(process(pid).unwrap(), None);
    }
}
