//! Chooses the ports of a broker, once for its whole life.
//!
//! Ports stay, so they must not come from the range from which the kernel hands out ports to outgoing connections:
//! while a broker is down, any connection of any program could take its port and keep it down. They are looked for
//! below that range, from a place that depends on the cluster, so that two servers on one machine rarely meet.

use std::io;
use std::net::{IpAddr, TcpListener};

use uuid::Uuid;

use crate::layout::Ports;

/// Below this live well-known services, and many of their test set-ups.
const LOWEST: u16 = 15_000;

/// What the kernel leaves alone if it does not say: the default of Linux.
const USUAL_EPHEMERAL: u16 = 32_768;

/// Fewer ports than this are not worth looking through; then the kernel may choose.
const LEAST: u16 = 1_000;

/// Two ports that nobody listens on at this moment. `taken` are those of brokers that may be down.
pub(crate) fn choose(host: IpAddr, seed: Uuid, taken: impl Fn(u16) -> bool) -> io::Result<Ports> {
    let mut free = candidates(seed, lowest_ephemeral()).filter(|port| !taken(*port) && is_free(host, *port));
    match (free.next(), free.next()) {
        (Some(client), Some(admin)) => Ok(Ports { client, admin }),
        _ => kernels_choice(host),
    }
}

/// All ports of the range, each once, from a place that the seed determines.
fn candidates(seed: Uuid, end: u16) -> impl Iterator<Item = u16> {
    let size = if end >= LOWEST + LEAST { end - LOWEST } else { 0 };
    let start =
        seed.as_u128().checked_rem(u128::from(size)).and_then(|it| u16::try_from(it).ok()).unwrap_or(0);
    (0..size).map(move |step| LOWEST + (start + step) % size)
}

fn is_free(host: IpAddr, port: u16) -> bool {
    TcpListener::bind((host, port)).is_ok()
}

fn kernels_choice(host: IpAddr) -> io::Result<Ports> {
    // Both at once: the second must not be the first one again.
    let (client, admin) = (TcpListener::bind((host, 0))?, TcpListener::bind((host, 0))?);
    Ok(Ports { client: client.local_addr()?.port(), admin: admin.local_addr()?.port() })
}

fn lowest_ephemeral() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(USUAL_EPHEMERAL)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use super::*;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn every_port_of_the_range_is_tried_once() {
        let all: BTreeSet<u16> = candidates(Uuid::from_u128(70_001), 32_768).collect();
        assert_eq!(all.len(), 17_768);
        assert_eq!((all.first(), all.last()), (Some(&15_000), Some(&32_767)));
    }

    #[test]
    fn a_machine_that_leaves_no_room_below_is_no_error() {
        assert_eq!(candidates(Uuid::nil(), 1_024).count(), 0);
        assert!(kernels_choice(HOST).is_ok());
    }

    #[test]
    fn what_somebody_listens_on_or_remembers_is_not_chosen() {
        let seed = Uuid::new_v4();
        let first = choose(HOST, seed, |_| false).unwrap();
        let _listener = TcpListener::bind((HOST, first.client)).unwrap();
        let second = choose(HOST, seed, |port| port == first.admin).unwrap();
        let all = BTreeSet::from([first.client, first.admin, second.client, second.admin]);
        assert_eq!(all.len(), 4, "{first:?} {second:?}");
    }
}
