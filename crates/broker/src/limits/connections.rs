//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::Metrics;

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
}
