//! Where bytes live: the only door from this crate to files.
//!
//! The log above knows positions, sizes and names; it does not know whether a real disk, a map in memory or
//! a disk that lies is behind them. That is what lets one model test run the same code through torn writes,
//! full disks and lost syncs, reproducibly from a seed.
//!
//! What an implementation promises, and no more:
//! - a write may be short and may fail half-way: bytes before the failure may be in the file;
//! - bytes are durable only after [`File::sync`] of their file, names only after [`Io::sync_dir`] of their
//!   directory;
//! - a file that is removed or renamed stays readable through handles that are already open.

mod disk;
mod faulty;
mod memory;

use std::io::{self, IoSlice};
use std::path::Path;

pub use disk::Disk;
pub use faulty::{Crash, Faulty};
pub use memory::Memory;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only; the file must exist.
    Read,
    /// Reading and writing; the file is created when missing and keeps its content when not.
    Write,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last component of the path. Names that are not UTF-8 are never ours and are left out of listings.
    pub name: String,
    /// Size in bytes; 0 for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// A file system, as far as partition storage needs one.
pub trait Io: std::fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: File;

    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;
    /// Lists a directory, in order of names.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Creates a directory and its parents; fine when it is there already.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file or directory, replacing a file of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with everything in it.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes everything durable that was written so far to the file system `dir` is on: cheaper than syncing
    /// thousands of files one by one. `false` where that is not possible; nothing was synced then.
    fn sync_all(&self, _dir: &Path) -> io::Result<bool> {
        Ok(false)
    }
}

/// An open file. All methods take `&self`: positions are arguments, so that readers, the writer and the
/// thread that syncs can share one handle.
pub trait File: std::fmt::Debug + Send + Sync + 'static {
    /// Current size in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads at a position; may return fewer bytes than asked, 0 only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes slices one after the other at a position; may write fewer bytes than given.
    fn write_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize>;
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes everything written so far durable.
    fn sync(&self) -> io::Result<()>;

    /// Asks for room for writes that are to come, without changing the size. Only a hint: writing works without
    /// it, at more cost on file systems that look for room page by page.
    fn reserve(&self, _from: u64, _len: u64) {}

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads until the buffer is full or the file ends; returns how much was read.
    fn read_full_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Fills the buffer or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        if self.read_full_at(buffer, position)? < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Writes all slices; on error any prefix of them may be in the file. The slices are consumed.
    fn write_all_at(&self, mut slices: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let end = slices.len().min(MAX_SLICES_PER_WRITE);
            match self.write_at(&slices[..end], position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes one buffer completely.
    fn write_bytes_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_all_at(&mut [IoSlice::new(bytes)], position)
    }
}

/// Linux refuses a vectored write of more slices than this (`IOV_MAX`); longer lists go in several calls.
const MAX_SLICES_PER_WRITE: usize = 1024;

/// Reads a whole small file (checkpoints, snapshots); `None` when there is none.
pub(crate) fn read_file<I: Io>(io: &I, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match io.open(path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    let read = file.read_full_at(&mut content, 0)?;
    content.truncate(read);
    Ok(Some(content))
}

/// Replaces a small file so that after a crash either the old or the new content is there: written next to
/// it, synced, renamed over it.
pub(crate) fn replace_file<I: Io>(io: &I, path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let file = io.open(&temporary, Access::Write)?;
    file.set_len(0)?;
    file.write_bytes_at(content, 0)?;
    file.sync()?;
    io.rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => io.sync_dir(dir),
        None => Ok(()),
    }
}
