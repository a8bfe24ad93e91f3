//! The server's directory: whether it can be used, by one server at a time.

use std::fs::{File, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A directory that this process has for itself. The lock ends with the value, or with the process.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is not there, and takes it.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Directory> {
        std::fs::create_dir_all(path).with_context(|| {
            format!("cannot make the directory {}; choose another with --dir", path.display())
        })?;
        let path = path.canonicalize().with_context(|| format!("cannot find {} again", path.display()))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o711)).with_context(|| {
            format!("cannot take the directory {}: it belongs to somebody else", path.display())
        })?;
        let lock_path = path.join("server.lock");
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .with_context(|| {
                format!("cannot write into the directory {}; choose another with --dir", path.display())
            })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Only for the message; without it the message is as true.
                let _ = lock.read_to_string(&mut pid);
                let pid = pid.trim();
                let who = if pid.is_empty() { String::new() } else { format!(" (process {pid})") };
                bail!(
                    "another penstock-server{who} uses the directory {}; stop it first, or choose another with --dir",
                    path.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", lock_path.display()));
            }
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).with_context(|| {
            format!("cannot write into the directory {}: is its disk full?", path.display())
        })?;
        Ok(Directory { path, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Replaces a file as a whole, readable for its owner only.
pub(crate) fn write_secret(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write(path, content, 0o600)
}

/// Replaces a file as a whole, readable for everybody.
pub(crate) fn write_public(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write(path, content, 0o644)
}

fn write(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let replace = || {
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    replace().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/below");
        let first = Directory::take(&path).unwrap();
        let refusal = Directory::take(&path).unwrap_err().to_string();
        assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
        drop(first);
        Directory::take(&path).unwrap();
    }

    #[test]
    fn a_path_that_is_a_file_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refusal = Directory::take(file.path()).unwrap_err().to_string();
        assert!(refusal.contains(&file.path().display().to_string()), "{refusal}");
    }

    #[test]
    fn secrets_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for content in ["one", "two"] {
            write_secret(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
