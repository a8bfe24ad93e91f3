//! A disk that does everything a real one may do to us, from a seed.
//!
//! It keeps two versions of every file and of the names: what a running process sees, and what a loss of
//! power would leave. Changes that were not synced are kept one by one, so that a crash can keep some of
//! them, drop others and tear one in the middle, as a disk that reorders writes does.
//!
//! Simplification: creating, renaming and removing a *directory* is durable at once. Partition directories
//! come and go rarely and the broker's metadata is the truth about them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::{read_slice, write_slice};
use super::{Access, Entry, File, Io};

/// What kind of end the machine came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: the process is gone, the page cache is not. Everything written is still there.
    Kill,
    /// Power is gone: of everything not synced, any subset survives, and single writes may be torn.
    PowerLoss,
}

/// A file system in memory with faults on demand. Clones share the same content.
#[derive(Clone, Debug)]
pub struct Faulty {
    state: Arc<Mutex<State>>,
}

/// A file of [`Faulty`]. Useless after a crash, as a handle of a dead process is.
#[derive(Clone, Debug)]
pub struct FaultyFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    life: u64,
}

#[derive(Debug)]
struct State {
    random: u64,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    pending_names: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    /// Counts crashes; handles of an earlier life are refused.
    life: u64,
    /// Set when a planned crash struck: every call fails until [`Faulty::crash`].
    down: bool,
    crash_after_changes: Option<u64>,
    free_bytes: Option<u64>,
    short: bool,
    lying_sync: bool,
    failing_reads: u32,
    failing_writes: u32,
    failing_syncs: u32,
}

#[derive(Debug, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { position: u64, bytes: Vec<u8> },
    SetLen(u64),
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, u64),
    Unlink(PathBuf),
}

impl Faulty {
    /// A disk without faults so far, whose later choices follow from the seed.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: seed,
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            dirs: BTreeSet::new(),
            life: 0,
            down: false,
            crash_after_changes: None,
            free_bytes: None,
            short: false,
            lying_sync: false,
            failing_reads: 0,
            failing_writes: 0,
            failing_syncs: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets the disk have this many bytes left; `None` is as many as one likes. Removing files gives space back.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.lock().free_bytes = free_bytes;
    }

    /// Makes reads and writes do less than asked, at random.
    pub fn set_short(&self, short: bool) {
        self.lock().short = short;
    }

    /// Makes syncs report success without doing anything.
    pub fn set_lying_sync(&self, lying: bool) {
        self.lock().lying_sync = lying;
    }

    /// Makes the next reads fail with an I/O error.
    pub fn fail_reads(&self, count: u32) {
        self.lock().failing_reads = count;
    }

    /// Makes the next writes fail with an I/O error after writing a random part.
    pub fn fail_writes(&self, count: u32) {
        self.lock().failing_writes = count;
    }

    /// Makes the next syncs fail with an I/O error.
    pub fn fail_syncs(&self, count: u32) {
        self.lock().failing_syncs = count;
    }

    /// Plans a crash in the middle of the change (write, cut, rename, removal) after this many more. That
    /// change is torn and every call fails until [`Faulty::crash`] says how much survives.
    pub fn crash_after(&self, changes: u64) {
        self.lock().crash_after_changes = Some(changes);
    }

    /// Whether a planned crash has struck.
    pub fn is_down(&self) -> bool {
        self.lock().down
    }

    /// Ends the life of the process and starts the next one with what survives. Planned faults are gone.
    pub fn crash(&self, crash: Crash) {
        let mut state = self.lock();
        if crash == Crash::PowerLoss {
            state.lose_power();
        }
        state.life += 1;
        state.down = false;
        state.crash_after_changes = None;
        state.failing_reads = 0;
        state.failing_writes = 0;
        state.failing_syncs = 0;
    }

    /// Flips bits of a stored byte, in every version of the file, as rot on the platter does.
    pub fn damage(&self, path: &Path, position: u64) -> io::Result<()> {
        let mut state = self.lock();
        let inode = state.names.get(path).copied().ok_or_else(|| not_found(path))?;
        let Some(inode) = state.inodes.get_mut(&inode) else { return Err(not_found(path)) };
        for content in [&mut inode.content, &mut inode.durable] {
            if let Some(byte) = content.get_mut(position as usize) {
                *byte ^= 0x5a;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// splitmix64: small, and good enough to choose faults.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_random() % bound }
    }

    fn check_up(&self) -> io::Result<()> {
        if self.down { Err(io::Error::other("the machine is down")) } else { Ok(()) }
    }

    /// Counts a change; `true` when the planned crash strikes in the middle of this one.
    fn strikes(&mut self) -> bool {
        match &mut self.crash_after_changes {
            Some(0) => {
                self.down = true;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn name_change(&mut self, changes: &[NameChange]) -> io::Result<()> {
        if self.strikes() && self.below(2) == 0 {
            return Err(io::Error::other("crashed before the change"));
        }
        for change in changes {
            apply(&mut self.names, change);
            self.pending_names.push(change.clone());
        }
        self.check_up()
    }

    fn lose_power(&mut self) {
        // A journal keeps the order of name changes, so a prefix of them survives.
        let kept = self.below(self.pending_names.len() as u64 + 1) as usize;
        for change in std::mem::take(&mut self.pending_names).iter().take(kept) {
            apply(&mut self.durable_names, change);
        }
        self.names = self.durable_names.clone();
        let alive: BTreeSet<u64> = self.names.values().copied().collect();
        let mut inodes = std::mem::take(&mut self.inodes);
        inodes.retain(|inode, _| alive.contains(inode));
        for inode in inodes.values_mut() {
            for change in std::mem::take(&mut inode.pending) {
                match (self.below(4), change) {
                    (0, _) => {}
                    (1, Change::Write { position, bytes }) => {
                        let torn = self.below(bytes.len() as u64 + 1) as usize;
                        write_slice(&mut inode.durable, &bytes[..torn], position);
                    }
                    (_, change) => apply_content(&mut inode.durable, &change),
                }
            }
            inode.content = inode.durable.clone();
        }
        self.inodes = inodes;
    }

    /// How many of `wanted` bytes that end at `end` still fit, taking them from the free space.
    fn take_space(&mut self, inode: u64, position: u64, wanted: u64) -> u64 {
        let len = self.inodes.get(&inode).map_or(0, |inode| inode.content.len() as u64);
        let Some(free) = &mut self.free_bytes else { return wanted };
        let overwritten = len.saturating_sub(position).min(wanted);
        let fresh = (wanted - overwritten).min(*free);
        *free -= fresh;
        overwritten + fresh
    }

    fn give_space(&mut self, bytes: u64) {
        if let Some(free) = &mut self.free_bytes {
            *free += bytes;
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, change: &NameChange) {
    match change {
        NameChange::Link(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        NameChange::Unlink(path) => {
            names.remove(path);
        }
    }
}

fn apply_content(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { position, bytes } => write_slice(content, bytes, *position),
        Change::SetLen(len) => content.resize(*len as usize, 0),
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

fn no_space() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on the faulty disk")
}

impl Io for Faulty {
    type File = FaultyFile;

    fn open(&self, path: &Path, access: Access) -> io::Result<FaultyFile> {
        let mut state = self.lock();
        state.check_up()?;
        let inode = match state.names.get(path) {
            Some(inode) => *inode,
            None => {
                let parent_exists = path.parent().is_some_and(|parent| state.dirs.contains(parent));
                if access == Access::Read || !parent_exists {
                    return Err(not_found(path));
                }
                let inode = state.inodes.last_key_value().map_or(0, |(last, _)| last + 1);
                state.inodes.insert(inode, Inode::default());
                state.name_change(&[NameChange::Link(path.to_owned(), inode)])?;
                inode
            }
        };
        Ok(FaultyFile { state: self.state.clone(), inode, life: state.life })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.lock();
        state.check_up()?;
        if !state.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        let name_of = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let files =
            state.names.iter().filter(|(path, _)| path.parent() == Some(dir)).filter_map(|(path, inode)| {
                let len = state.inodes.get(inode)?.content.len() as u64;
                Some(Entry { name: name_of(path)?, len, is_dir: false })
            });
        let dirs = state
            .dirs
            .iter()
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| Some(Entry { name: name_of(path)?, len: 0, is_dir: true }));
        let mut entries: Vec<Entry> = files.chain(dirs).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check_up()?;
        state.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check_up()?;
        if let Some(inode) = state.names.get(from).copied() {
            return state
                .name_change(&[NameChange::Link(to.to_owned(), inode), NameChange::Unlink(from.to_owned())]);
        }
        if !state.dirs.contains(from) {
            return Err(not_found(from));
        }
        let moved = |path: &Path| -> PathBuf {
            path.strip_prefix(from)
                .map_or_else(|_| path.to_owned(), |rest| to.join(rest).components().collect())
        };
        state.dirs = state.dirs.iter().map(|path| moved(path)).collect();
        state.names = state.names.iter().map(|(path, inode)| (moved(path), *inode)).collect();
        state.durable_names = state.durable_names.iter().map(|(path, inode)| (moved(path), *inode)).collect();
        for change in &mut state.pending_names {
            let (NameChange::Link(path, _) | NameChange::Unlink(path)) = change;
            *path = moved(path);
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check_up()?;
        let inode = state.names.get(path).copied().ok_or_else(|| not_found(path))?;
        let freed = state.inodes.get(&inode).map_or(0, |inode| inode.content.len() as u64);
        state.give_space(freed);
        state.name_change(&[NameChange::Unlink(path.to_owned())])
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check_up()?;
        if !state.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        state.dirs.retain(|path| !path.starts_with(dir));
        state.names.retain(|path, _| !path.starts_with(dir));
        state.durable_names.retain(|path, _| !path.starts_with(dir));
        state.pending_names.retain(|change| {
            let (NameChange::Link(path, _) | NameChange::Unlink(path)) = change;
            !path.starts_with(dir)
        });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check_up()?;
        if state.lying_sync {
            return Ok(());
        }
        // A journal commits in order: syncing one directory also makes older changes elsewhere durable.
        let Some(last) = state.pending_names.iter().rposition(|change| {
            let (NameChange::Link(path, _) | NameChange::Unlink(path)) = change;
            path.parent() == Some(dir)
        }) else {
            return Ok(());
        };
        let rest = state.pending_names.split_off(last + 1);
        let durable = std::mem::replace(&mut state.pending_names, rest);
        for change in &durable {
            apply(&mut state.durable_names, change);
        }
        Ok(())
    }
}

impl FaultyFile {
    fn lock(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.check_up()?;
        if state.life != self.life {
            return Err(io::Error::other("a handle from before the crash"));
        }
        Ok(state)
    }
}

fn inode_mut(state: &mut State, inode: u64) -> io::Result<&mut Inode> {
    state.inodes.get_mut(&inode).ok_or_else(|| io::Error::other("the file is gone"))
}

impl File for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(inode_mut(&mut *self.lock()?, self.inode)?.content.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut state = self.lock()?;
        if state.failing_reads > 0 {
            state.failing_reads -= 1;
            return Err(io::Error::other("injected read error"));
        }
        let mut wanted = buffer.len();
        if state.short && wanted > 1 {
            wanted = 1 + state.below(wanted as u64) as usize;
        }
        Ok(read_slice(&inode_mut(&mut state, self.inode)?.content, &mut buffer[..wanted], position))
    }

    fn write_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let mut state = self.lock()?;
        let mut failure = None;
        let wanted = bytes.len() as u64;
        if state.strikes() || state.failing_writes > 0 {
            state.failing_writes = state.failing_writes.saturating_sub(1);
            bytes.truncate(state.below(wanted + 1) as usize);
            failure = Some(io::Error::other("injected write error"));
        } else if state.short && wanted > 1 {
            bytes.truncate(1 + state.below(wanted) as usize);
        }
        let fits = state.take_space(self.inode, position, bytes.len() as u64) as usize;
        if fits == 0 && !bytes.is_empty() {
            return Err(failure.unwrap_or_else(no_space));
        }
        bytes.truncate(fits);
        let inode = inode_mut(&mut state, self.inode)?;
        write_slice(&mut inode.content, &bytes, position);
        inode.pending.push(Change::Write { position, bytes });
        match failure {
            Some(error) => Err(error),
            None => Ok(fits),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock()?;
        if state.strikes() {
            return Err(io::Error::other("crashed before the cut"));
        }
        let inode = inode_mut(&mut state, self.inode)?;
        let freed = (inode.content.len() as u64).saturating_sub(len);
        inode.content.resize(len as usize, 0);
        inode.pending.push(Change::SetLen(len));
        state.give_space(freed);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock()?;
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            return Err(io::Error::other("injected sync error"));
        }
        if state.lying_sync {
            return Ok(());
        }
        let inode = inode_mut(&mut state, self.inode)?;
        inode.durable.clone_from(&inode.content);
        inode.pending.clear();
        Ok(())
    }
}
