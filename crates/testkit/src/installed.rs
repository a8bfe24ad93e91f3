//! What is installed once a user and not once a clone or a test run: directories in the user's cache.
//!
//! A directory is made under a lock, so that two runs at the same time install once, and is never changed when it is
//! finished: its name stands for what it was made from. One whose installation was interrupted is made anew.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

/// Written last: a directory without it is the remains of an installation that was interrupted.
const FINISHED: &str = ".finished";

/// The user's cache directory for Penstock (`$XDG_CACHE_HOME/penstock`, else `~/.cache/penstock`); nothing if neither
/// `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache_dir() -> Option<PathBuf> {
    let caches = match std::env::var_os("XDG_CACHE_HOME") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    Some(caches.join("penstock"))
}

/// A name for something that is installed from this text: another text is another installation.
pub fn named_after(kind: &str, text: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{kind}-{:016x}", hasher.finish())
}

/// The directory `name` in `cache`: finds it, or lets `install` fill it.
pub fn once<E: From<io::Error>>(
    cache: &Path,
    name: &str,
    install: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    let dir = cache.join(name);
    let finished = dir.join(FINISHED);
    if finished.is_file() {
        return Ok(dir);
    }
    fs::create_dir_all(cache)?;
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock()?;
    if !finished.is_file() {
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        install(&dir)?;
        fs::write(&finished, "")?;
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_made_once_and_an_interrupted_one_anew() {
        let cache = tempfile::tempdir().expect("a directory");
        let interrupted = once(cache.path(), "tool-1.2", |dir| {
            fs::write(dir.join("half"), "")?;
            Err(io::Error::other("interrupted"))
        });
        assert!(interrupted.is_err());
        let install = |dir: &Path| fs::write(dir.join("whole"), "");
        let dir = once(cache.path(), "tool-1.2", install).expect("installed");
        assert!(dir.join("whole").is_file() && !dir.join("half").exists());
        let again = once(cache.path(), "tool-1.2", |_| Err(io::Error::other("not asked for")));
        assert_eq!(again.expect("found"), dir);
    }
}
