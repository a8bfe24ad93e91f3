//! The real file system.

use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Access, Entry, File, Io};

/// Files of the operating system, through the page cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Io for Disk {
    type File = fs::File;

    fn open(&self, path: &Path, access: Access) -> io::Result<fs::File> {
        let mut options = OpenOptions::new();
        options.read(true);
        if access == Access::Write {
            options.write(true).create(true).truncate(false);
        }
        options.open(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_dir = entry.file_type()?.is_dir();
            let len = if is_dir {
                0
            } else {
                match entry.metadata() {
                    Ok(metadata) => metadata.len(),
                    // Removed between the listing and the look at it (a checkpoint being replaced).
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            };
            entries.push(Entry { name, len, is_dir });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn sync_all(&self, dir: &Path) -> io::Result<bool> {
        rustix::fs::syncfs(fs::File::open(dir)?)?;
        Ok(true)
    }
}

impl File for fs::File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, position)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        match slices {
            [only] => FileExt::write_at(self, only, position),
            _ => Ok(rustix::io::pwritev(self, slices, position)?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        fs::File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn reserve(&self, from: u64, len: u64) {
        // Where it is refused (no room, no such operation), the writes themselves will tell what matters.
        let _ = rustix::fs::fallocate(self, rustix::fs::FallocateFlags::KEEP_SIZE, from, len);
    }
}
