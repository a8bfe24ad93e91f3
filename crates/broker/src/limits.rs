//! Bounds on what all clients together may hold: bytes of unanswered requests, and connections.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// What one permit of the byte budget stands for. A semaphore counts in 32 bits per acquisition, and small requests
/// need not be counted to the byte.
const UNIT_BYTES: usize = 1024;

/// The budget of bytes that were read and are not answered (`queued.max.request.bytes`).
///
/// Who finds it used up waits: the socket is not read, TCP slows the client down, nobody sees an error.
pub struct RequestBytes {
    budget: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// A share of the budget, given back when dropped.
pub struct Held {
    _permit: OwnedSemaphorePermit,
    bytes: i64,
    metrics: Arc<Metrics>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.metrics.request_bytes.sub(self.bytes);
    }
}

impl RequestBytes {
    /// A budget of `bytes`.
    #[must_use]
    pub fn new(bytes: u64, metrics: Arc<Metrics>) -> RequestBytes {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT_BYTES;
        RequestBytes { budget: Arc::new(Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS))), metrics }
    }

    /// Takes a share for a frame that is in memory already, if there is room; a small frame does not wait.
    pub fn hold_now(&self, bytes: usize) -> Option<Held> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).ok()?;
        let permit = Arc::clone(&self.budget).try_acquire_many_owned(units).ok()?;
        Some(self.held(permit, bytes))
    }

    fn held(&self, permit: OwnedSemaphorePermit, bytes: usize) -> Held {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.request_bytes.add(bytes);
        Held { _permit: permit, bytes, metrics: Arc::clone(&self.metrics) }
    }

    /// Takes a share for a frame of `bytes`, waiting for room. Frames are bounded below the whole budget, so everybody
    /// gets a turn; waiters are served in order.
    pub async fn hold(&self, bytes: usize) -> Option<Held> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).ok()?;
        let budget = Arc::clone(&self.budget);
        let permit = match Arc::clone(&budget).try_acquire_many_owned(units) {
            Ok(permit) => permit,
            Err(_) => {
                self.metrics.request_bytes_waits.inc();
                budget.acquire_many_owned(units).await.ok()?
            }
        };
        Some(self.held(permit, bytes))
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

    #[tokio::test]
    async fn a_frame_waits_for_room_and_gets_it_when_another_is_answered() {
        let metrics = Arc::new(Metrics::new());
        let budget = Arc::new(RequestBytes::new(10 * 1024, Arc::clone(&metrics)));
        let first = budget.hold(8 * 1024).await.expect("room");
        assert_eq!(metrics.request_bytes.get(), 8 * 1024);
        let waiting = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.hold(4 * 1024).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.expect("no panic"));
        assert_eq!((metrics.request_bytes_waits.get(), metrics.request_bytes.get()), (1, 0));
    }
}
