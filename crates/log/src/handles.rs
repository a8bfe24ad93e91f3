//! Open files, bounded in number and shared by all logs.
//!
//! A log keeps weak references ([`Slot`]); the ring here holds the strong ones. Using an open file costs a
//! reference count and a flag, no lock. When the ring is full, the first file that was not used since the
//! hand last passed it is closed (CLOCK, the usual approximation of least recently used). A reader or a sync
//! in progress keeps its own strong reference, so nothing is closed under anybody.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::io::{Access, Io};

/// An open file with the mark that saves it from being closed.
#[derive(Debug)]
pub(crate) struct Handle<F> {
    pub(crate) file: F,
    used: AtomicBool,
}

/// Where a log remembers a file that may or may not be open.
#[derive(Debug)]
pub(crate) struct Slot<F>(Weak<Handle<F>>);

impl<F> Slot<F> {
    pub(crate) fn new() -> Self {
        Self(Weak::new())
    }
}

/// The ring of open files.
#[derive(Debug)]
pub(crate) struct Handles<F> {
    ring: Mutex<Ring<F>>,
    capacity: usize,
}

#[derive(Debug)]
struct Ring<F> {
    open: Vec<Arc<Handle<F>>>,
    hand: usize,
}

impl<F> Handles<F> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { ring: Mutex::new(Ring { open: Vec::new(), hand: 0 }), capacity: capacity.max(1) }
    }

    /// The open file behind `slot`, opening it when it is not.
    pub(crate) fn get<I: Io<File = F>>(
        &self,
        io: &I,
        slot: &mut Slot<F>,
        path: impl FnOnce() -> std::path::PathBuf,
    ) -> io::Result<Arc<Handle<F>>> {
        if let Some(handle) = slot.0.upgrade() {
            handle.used.store(true, Ordering::Relaxed);
            return Ok(handle);
        }
        self.open(io, slot, &path())
    }

    fn open<I: Io<File = F>>(&self, io: &I, slot: &mut Slot<F>, path: &Path) -> io::Result<Arc<Handle<F>>> {
        let handle = Arc::new(Handle { file: io.open(path, Access::Write)?, used: AtomicBool::new(true) });
        slot.0 = Arc::downgrade(&handle);
        let closed = self.insert(handle.clone());
        drop(closed); // outside the lock: closing may write
        Ok(handle)
    }

    fn insert(&self, handle: Arc<Handle<F>>) -> Option<Arc<Handle<F>>> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.open.len() < self.capacity {
            ring.open.push(handle);
            return None;
        }
        // Ends after at most one full turn plus one: the first turn clears all marks.
        loop {
            let hand = ring.hand % ring.open.len();
            ring.hand = hand + 1;
            if !ring.open[hand].used.swap(false, Ordering::Relaxed) {
                return Some(std::mem::replace(&mut ring.open[hand], handle));
            }
        }
    }

    /// Closes the file behind a slot, if open.
    pub(crate) fn close(&self, slot: &mut Slot<F>) {
        let Some(handle) = std::mem::replace(slot, Slot::new()).0.upgrade() else { return };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = ring.open.iter().position(|open| Arc::ptr_eq(open, &handle)) {
            ring.open.swap_remove(at);
        }
    }

    /// Closes every file that was not used since the previous call; returns how many stay open.
    pub(crate) fn close_unused(&self) -> usize {
        let mut unused = Vec::new();
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let open = std::mem::take(&mut ring.open);
        for handle in open {
            if handle.used.swap(false, Ordering::Relaxed) {
                ring.open.push(handle);
            } else {
                unused.push(handle);
            }
        }
        ring.open.shrink_to_fit();
        let left = ring.open.len();
        drop(ring);
        drop(unused);
        left
    }

    pub(crate) fn open_files(&self) -> usize {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).open.len()
    }
}
