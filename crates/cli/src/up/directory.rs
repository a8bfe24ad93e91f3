//! The directory of `up`: one `up` at a time, and who that is.

use std::fs::{File, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::failure::{Exit, Failure};

/// Held by `penstock up`.
pub(crate) const UP_LOCK: &str = "up.lock";

/// Held by `penstock-server`.
pub(crate) const SERVER_LOCK: &str = "server.lock";

/// Between two looks at a lock that is about to be released.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A directory that this process has for itself.
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the directory if it is not there, and takes it.
pub(crate) fn take(dir: &Path) -> Result<Directory, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::new(Exit::Usage, "directory", format!("the directory {} cannot be used", dir.display()))
            .why(error.to_string())
            .advice("choose one that you can write to, with --dir")
    };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    let path = dir.canonicalize().map_err(unusable)?;
    // Others may pass through, as the account of Postgres must, and see nothing: what is secret has a mode of its own.
    std::fs::set_permissions(&path, Permissions::from_mode(0o711)).map_err(unusable)?;
    let mut lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path.join(UP_LOCK))
        .map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let who = holder(&path, UP_LOCK).map(|pid| format!(" (process {pid})")).unwrap_or_default();
            return Err(Failure::new(
                Exit::Conflict,
                "already-up",
                format!("another `penstock up`{who} runs in {}", path.display()),
            )
            .advice("use that one, stop it with `penstock down`, or choose another directory with --dir"));
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(unusable)?;
    Ok(Directory { path, _lock: lock })
}

/// The process that holds a lock, if one does.
pub(crate) fn holder(dir: &Path, lock: &str) -> Option<i32> {
    let path = dir.join(lock);
    let file = File::options().write(true).open(&path).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => std::fs::read_to_string(&path).ok()?.trim().parse().ok(),
        _ => None,
    }
}

/// Waits until nobody holds the lock; says whether that came about.
pub(crate) async fn released(dir: &Path, lock: &str, within: Duration) -> bool {
    let start = Instant::now();
    while holder(dir, lock).is_some() {
        if start.elapsed() > within {
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    true
}

/// Asks the holder of a lock to end, and waits until it has. Says whether there was one.
pub(crate) async fn end_holder(dir: &Path, lock: &str, within: Duration) -> anyhow::Result<bool> {
    let Some(pid) = holder(dir, lock) else { return Ok(false) };
    let process =
        Pid::from_raw(pid).with_context(|| format!("{lock} names the process {pid}, which cannot be one"))?;
    // It may have ended since the look.
    let _ = kill_process(process, Signal::TERM);
    if !released(dir, lock, within).await {
        anyhow::bail!("process {pid} did not end within {} s; look at it, then try again", within.as_secs());
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_up_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path(), UP_LOCK), None);
        let taken = take(dir.path()).ok().unwrap();
        assert!(take(dir.path()).is_err());
        assert_eq!(holder(dir.path(), UP_LOCK), i32::try_from(std::process::id()).ok());
        assert!(!released(dir.path(), UP_LOCK, Duration::from_millis(50)).await);
        drop(taken);
        assert!(released(dir.path(), UP_LOCK, Duration::from_millis(50)).await);
    }
}
