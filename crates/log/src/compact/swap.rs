//! Putting compacted files in place so that a crash at any moment leaves the old or the new ones, never a mix.
//!
//! 1. The new files are written and synced as `.cleaned`. After a crash they are worthless and removed.
//! 2. They are renamed to `.swap`, the batches last. Once that name exists, the new segment counts.
//! 3. The other sources go, then the new indexes get their names, then the batches, which replaces the old ones.
//!
//! A start that finds batches named `.swap` does step 3 again; other files of that name belong to an
//! interrupted step 2 and are removed.

use std::io;
use std::path::Path;

use crate::io::{Access, Entry, File, Io};
use crate::layout::{self, Kind, State, file_path};
use crate::scan::Scan;
use crate::store::{Step, StorageError, Store};

/// Order of renames: the batches last, since their name decides.
const ORDER: [Kind; 4] = [Kind::Index, Kind::TimeIndex, Kind::TxnIndex, Kind::Log];

/// Removes what a compaction wrote.
pub(super) fn discard<I: Io>(store: &Store<I>, dir: &Path, base_offset: i64) -> Result<(), StorageError> {
    for kind in ORDER {
        remove(store, &file_path(dir, base_offset, kind, State::Cleaned))?;
    }
    Ok(())
}

/// Step 2.
pub(super) fn commit<I: Io>(store: &Store<I>, dir: &Path, base_offset: i64) -> Result<(), StorageError> {
    for kind in ORDER {
        let from = file_path(dir, base_offset, kind, State::Cleaned);
        let to = file_path(dir, base_offset, kind, State::Swap);
        store.io.rename(&from, &to).step("rename", &from)?;
    }
    store.io.sync_dir(dir).step("sync", dir)
}

/// Step 3, without the other sources.
pub(super) fn complete<I: Io>(store: &Store<I>, dir: &Path, base_offset: i64) -> Result<(), StorageError> {
    for kind in ORDER {
        let from = file_path(dir, base_offset, kind, State::Swap);
        let to = file_path(dir, base_offset, kind, State::Live);
        match store.io.rename(&from, &to) {
            // Renamed before the crash.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.step("rename", &from)?,
        }
    }
    store.io.sync_dir(dir).step("sync", dir)
}

/// What a start does; `true` if the directory must be listed again.
pub(crate) fn recover<I: Io>(store: &Store<I>, dir: &Path, entries: &[Entry]) -> Result<bool, StorageError> {
    let mut changed = false;
    let named = || entries.iter().filter_map(|entry| layout::parse_file_name(&entry.name));
    for (base_offset, kind, state) in named() {
        if state != State::Swap {
            continue;
        }
        changed = true;
        let is_complete = named().any(|other| other == (base_offset, Kind::Log, State::Swap));
        if !is_complete {
            remove(store, &file_path(dir, base_offset, kind, State::Swap))?;
        } else if kind == Kind::Log {
            let end_offset =
                end_of(store, &file_path(dir, base_offset, Kind::Log, State::Swap), base_offset)?;
            for (other, kind, state) in named() {
                let is_source = state == State::Live
                    && kind != Kind::Snapshot
                    && other > base_offset
                    && other < end_offset;
                if is_source {
                    remove(store, &file_path(dir, other, kind, State::Live))?;
                }
            }
            complete(store, dir, base_offset)?;
        }
    }
    Ok(changed)
}

/// The offset behind the last batch. Sources that begin there or behind it held nothing that stayed; they are
/// compacted again.
fn end_of<I: Io>(store: &Store<I>, path: &Path, base_offset: i64) -> Result<i64, StorageError> {
    let walk = || {
        let file = store.io.open(path, Access::Read)?;
        let len = file.len()?;
        let mut scan = Scan::headers(&file, &store.buffers, 0, len);
        let mut end_offset = base_offset;
        while let Some(Ok(met)) = scan.next()? {
            end_offset = met.header.last_offset() + 1;
        }
        Ok(end_offset)
    };
    walk().step("read", path)
}

fn remove<I: Io>(store: &Store<I>, path: &Path) -> Result<(), StorageError> {
    match store.io.remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.step("remove", path),
    }
}
