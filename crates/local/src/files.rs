//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Whoever may enter the directory.
    Public,
    /// Only the owner.
    Secret,
}

/// Replaces a file in one step that survives a loss of power: a reader sees the old content or the new one.
pub(crate) fn replace(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    write_new(path, content, mode)?.sync_all()?;
    fs::rename(new(path), path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Replaces a file in one step that survives the end of this process at any moment, but not a loss of power: for what
/// is written anew at every start of a broker, where waiting for a disk would be felt.
pub(crate) fn replace_quickly(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    write_new(path, content, mode)?;
    fs::rename(new(path), path)
}

fn write_new(path: &Path, content: &[u8], mode: Mode) -> io::Result<File> {
    // Left over from an attempt that was cut off, perhaps with another mode.
    remove_file(&new(path))?;
    let bits = match mode {
        Mode::Public => 0o644,
        Mode::Secret => 0o600,
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(bits).open(new(path))?;
    file.write_all(content)?;
    Ok(file)
}

fn new(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Makes a directory that only its owner may enter, with its parents.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The content of a file, or nothing if there is none.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a directory, in order; none if it does not exist.
pub(crate) fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Deletes a directory with everything in it; fine if it is gone.
pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Deletes a file; fine if it is gone.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_never_readable_by_others_even_over_a_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.pem");
        fs::write(dir.path().join("node.pem.new"), "left over").unwrap();
        replace(&path, b"one", Mode::Secret).unwrap();
        replace(&path, b"two", Mode::Secret).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names_in(dir.path()).unwrap(), ["node.pem"]);
    }

    #[test]
    fn what_is_not_there_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = dir.path().join("nowhere");
        assert_eq!(read_if_there(&nowhere).unwrap(), None);
        assert!(names_in(&nowhere).unwrap().is_empty());
        remove_dir(&nowhere).unwrap();
        remove_file(&nowhere).unwrap();
    }
}
