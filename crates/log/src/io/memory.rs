//! A file system in memory: for tests that want speed and for whoever needs a log without a disk.
//!
//! It never fails and never forgets. [`super::Faulty`] is the one that does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, Entry, File, Io};

/// Files in memory. Clones share the same content, as two handles on one disk do.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    names: Arc<Mutex<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    files: BTreeMap<PathBuf, MemoryFile>,
    dirs: BTreeSet<PathBuf>,
}

/// A file of [`Memory`].
#[derive(Clone, Debug, Default)]
pub struct MemoryFile {
    content: Arc<Mutex<Vec<u8>>>,
}

/// A panic while holding one of these locks leaves plain bytes behind, which stay usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

impl Io for Memory {
    type File = MemoryFile;

    fn open(&self, path: &Path, access: Access) -> io::Result<MemoryFile> {
        let mut names = lock(&self.names);
        if let Some(file) = names.files.get(path) {
            return Ok(file.clone());
        }
        let parent_exists = path.parent().is_some_and(|parent| names.dirs.contains(parent));
        if access == Access::Read || !parent_exists {
            return Err(not_found(path));
        }
        let file = MemoryFile::default();
        names.files.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let names = lock(&self.names);
        if !names.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        let name_of = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let files =
            names.files.iter().filter(|(path, _)| path.parent() == Some(dir)).filter_map(|(path, file)| {
                Some(Entry { name: name_of(path)?, len: lock(&file.content).len() as u64, is_dir: false })
            });
        let dirs = names
            .dirs
            .iter()
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| Some(Entry { name: name_of(path)?, len: 0, is_dir: true }));
        let mut entries: Vec<Entry> = files.chain(dirs).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut names = lock(&self.names);
        names.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = lock(&self.names);
        if let Some(file) = names.files.remove(from) {
            names.files.insert(to.to_owned(), file);
            return Ok(());
        }
        if !names.dirs.contains(from) {
            return Err(not_found(from));
        }
        let moved = |path: &Path| path.strip_prefix(from).map(|rest| to.join(rest)).ok();
        names.dirs = names
            .dirs
            .iter()
            .map(|path| moved(path).map_or_else(|| path.clone(), |path| clean(&path)))
            .collect();
        names.files = std::mem::take(&mut names.files)
            .into_iter()
            .map(|(path, file)| (moved(&path).unwrap_or(path), file))
            .collect();
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        lock(&self.names).files.remove(path).map(drop).ok_or_else(|| not_found(path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut names = lock(&self.names);
        if !names.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        names.dirs.retain(|path| !path.starts_with(dir));
        names.files.retain(|path, _| !path.starts_with(dir));
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// `to.join("")` leaves a trailing separator, which would make a different key.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        Ok(read_slice(&lock(&self.content), buffer, position))
    }

    fn write_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let mut content = lock(&self.content);
        let mut at = position;
        for slice in slices {
            write_slice(&mut content, slice, at);
            at += slice.len() as u64;
        }
        Ok((at - position) as usize)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.content).resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn read_slice(content: &[u8], buffer: &mut [u8], position: u64) -> usize {
    let start = content.len().min(position as usize);
    let read = buffer.len().min(content.len() - start);
    buffer[..read].copy_from_slice(&content[start..start + read]);
    read
}

pub(super) fn write_slice(content: &mut Vec<u8>, bytes: &[u8], position: u64) {
    let start = position as usize;
    if content.len() < start + bytes.len() {
        content.resize(start + bytes.len(), 0);
    }
    content[start..start + bytes.len()].copy_from_slice(bytes);
}
