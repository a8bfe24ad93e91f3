//! Bounds on what all clients together may hold: bytes of unanswered requests, and connections.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// What one permit of the byte budget stands for. A semaphore counts in 32 bits per acquisition, and small requests
/// need not be counted to the byte.
const UNIT_BYTES: usize = 1024;

/// The budget of bytes that were read and are not answered (`queued.max.request.bytes`).
///
/// A frame takes its share as its bytes come, so a length prefix with nothing behind it takes nothing from others. Who
/// finds the budget used up waits: the socket is not read, TCP slows the client down, nobody sees an error. Frames that
/// wait for each other with half of what they need cannot lock each other up: room for the largest frame is kept apart,
/// and one of them at a time has its turn in it.
pub struct RequestBytes {
    budget: Arc<Semaphore>,
    turn: Arc<Semaphore>,
    /// Frames that wait for room at the moment.
    waiting: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// One frame that waits, as long as this lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a AtomicUsize) -> Waiting<'a> {
        waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A share of the budget, given back when dropped.
pub struct Held {
    permit: OwnedSemaphorePermit,
    turn: Option<OwnedSemaphorePermit>,
    bytes: usize,
    metrics: Arc<Metrics>,
}

impl Held {
    /// How many bytes it stands for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn count(&mut self, bytes: usize) {
        self.metrics.request_bytes.add(signed(bytes) - signed(self.bytes));
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.count(0);
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl RequestBytes {
    /// A budget of `bytes`, in which the largest frame has `max_frame_bytes`.
    #[must_use]
    pub fn new(bytes: u64, max_frame_bytes: usize, metrics: Arc<Metrics>) -> RequestBytes {
        let shared = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(max_frame_bytes);
        let units = (shared / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        RequestBytes {
            budget: Arc::new(Semaphore::new(units)),
            turn: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            metrics,
        }
    }

    /// Whether frames wait for room. Who holds some of it and does not go on should give it up then.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Takes a share for a frame that is in memory already, if there is room; a small frame does not wait.
    pub fn hold_now(&self, bytes: usize) -> Option<Held> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).ok()?;
        let permit = Arc::clone(&self.budget).try_acquire_many_owned(units).ok()?;
        let mut held = Held { permit, turn: None, bytes: 0, metrics: Arc::clone(&self.metrics) };
        held.count(bytes);
        Some(held)
    }

    /// Raises the share of a frame that is being read to `bytes`, waiting for room.
    pub async fn raise(&self, held: &mut Option<Held>, bytes: usize) {
        if held.is_none() {
            *held = self.hold_now(0);
        }
        let Some(held) = held else { return };
        if held.turn.is_none() {
            let missing = bytes.div_ceil(UNIT_BYTES).saturating_sub(held.permit.num_permits());
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            match Arc::clone(&self.budget).try_acquire_many_owned(missing) {
                Ok(more) => held.permit.merge(more),
                Err(_) => {
                    self.metrics.request_bytes_waits.inc();
                    let _waiting = Waiting::count(&self.waiting);
                    // Neither is ever closed.
                    tokio::select! {
                        biased;
                        Ok(more) = Arc::clone(&self.budget).acquire_many_owned(missing) => held.permit.merge(more),
                        Ok(turn) = Arc::clone(&self.turn).acquire_owned() => held.turn = Some(turn),
                        else => {}
                    }
                }
            }
        }
        held.count(bytes);
    }
}

/// Why a connection is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `max.connections` is reached.
    Total,
    /// `max.connections.per.ip` is reached.
    PerIp,
}

impl Refused {
    /// The label of the metric and the setting to raise.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Refused::Total => "max.connections",
            Refused::PerIp => "max.connections.per.ip",
        }
    }
}

#[derive(Default)]
struct Counts {
    total: u32,
    by_ip: HashMap<IpAddr, u32>,
}

/// How many connections there are, and from where.
pub struct Connections {
    counts: Mutex<Counts>,
    max: u32,
    max_per_ip: u32,
    metrics: Arc<Metrics>,
}

/// A counted connection, given back when dropped.
#[derive(Debug)]
pub struct Seat {
    connections: Arc<Connections>,
    ip: IpAddr,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("open", &self.counts().total).field("max", &self.max).finish()
    }
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(max: u32, max_per_ip: u32, metrics: Arc<Metrics>) -> Arc<Connections> {
        Arc::new(Connections { counts: Mutex::default(), max, max_per_ip, metrics })
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection in, if there is room.
    ///
    /// # Errors
    /// Says which bound is reached.
    pub fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Seat, Refused> {
        let mut counts = self.counts();
        if counts.total >= self.max {
            return Err(Refused::Total);
        }
        if counts.by_ip.get(&ip).copied().unwrap_or(0) >= self.max_per_ip {
            return Err(Refused::PerIp);
        }
        counts.total += 1;
        *counts.by_ip.entry(ip).or_insert(0) += 1;
        self.metrics.connections.inc();
        self.metrics.connections_accepted.inc();
        Ok(Seat { connections: Arc::clone(self), ip })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        counts.total -= 1;
        if let Some(count) = counts.by_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.by_ip.remove(&self.ip);
            }
        }
        self.connections.metrics.connections.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_in_all_and_by_address_and_given_back() {
        let connections = Connections::new(3, 2, Arc::new(Metrics::new()));
        let (here, there): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = connections.admit(here).expect("room");
        let _second = connections.admit(here).expect("room");
        assert_eq!(connections.admit(here).err(), Some(Refused::PerIp));
        let _third = connections.admit(there).expect("room");
        assert_eq!(connections.admit(there).err(), Some(Refused::Total));
        drop(first);
        assert!(connections.admit(here).is_ok());
    }

    const KIB: usize = 1024;

    #[tokio::test]
    async fn frames_wait_for_room_and_one_at_a_time_has_its_turn() {
        let metrics = Arc::new(Metrics::new());
        let budget = Arc::new(RequestBytes::new(30 * 1024, 20 * KIB, Arc::clone(&metrics)));
        let raise = |mut held: Option<Held>, bytes| {
            let budget = Arc::clone(&budget);
            tokio::spawn(async move {
                budget.raise(&mut held, bytes).await;
                held
            })
        };
        // Two frames with half of what they need, and nothing left.
        let first = raise(None, 6 * KIB).await.expect("no panic");
        let second = raise(None, 4 * KIB).await.expect("no panic");
        assert_eq!((metrics.request_bytes.get(), metrics.request_bytes_waits.get()), (10 * 1024, 0));
        let first = raise(first, 20 * KIB).await.expect("no panic");
        let second = raise(second, 8 * KIB);
        tokio::task::yield_now().await;
        assert!(!second.is_finished(), "one at a time");
        assert!(budget.is_short());
        assert_eq!((metrics.request_bytes.get(), metrics.request_bytes_waits.get()), (24 * 1024, 2));
        drop(first);
        let second = second.await.expect("no panic");
        assert_eq!(second.as_ref().map(Held::bytes), Some(8 * KIB));
        assert!(!budget.is_short());
        drop(second);
        assert_eq!(metrics.request_bytes.get(), 0);
        assert!(budget.hold_now(10 * KIB).is_some(), "everything was given back");
    }
}
