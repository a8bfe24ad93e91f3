//! On which address the server listens: the one that was asked for, else that of last time, so that bookmarks and
//! configurations stay right, else the usual one, else any.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Context;

use crate::failure::{Exit, Failure};

/// Where the last address is remembered.
const FILE: &str = "address";

/// The usual port of HTTPS for things that are not the machine's main web server.
const USUAL_PORT: u16 = 8443;

pub(crate) fn choose(dir: &Path, asked: Option<SocketAddr>) -> Result<SocketAddr, Failure> {
    let remembered = std::fs::read_to_string(dir.join(FILE)).ok().and_then(|text| text.trim().parse().ok());
    match asked {
        Some(address) if address.port() != 0 && !is_free(address) => Err(Failure::new(
            Exit::Conflict,
            "address-taken",
            format!("{address} is taken by another program"),
        )
        .advice("choose another with --listen; port 0 takes any free one")),
        Some(address) if address.port() == 0 => {
            let same = remembered.filter(|last: &SocketAddr| last.ip() == address.ip() && is_free(*last));
            Ok(same.unwrap_or(address))
        }
        Some(address) => Ok(address),
        None => {
            let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT));
            let free = remembered.into_iter().chain([usual]).find(|address| is_free(*address));
            Ok(free.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
        }
    }
}

pub(crate) fn remember(dir: &Path, address: SocketAddr) -> anyhow::Result<()> {
    let path = dir.join(FILE);
    std::fs::write(&path, format!("{address}\n")).with_context(|| format!("cannot write {}", path.display()))
}

/// Whether nobody listens there now. Somebody may a moment later; the server then says so itself.
fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_comes_back_unless_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(any).unwrap();
        let address = listener.local_addr().unwrap();
        remember(dir.path(), address).unwrap();
        assert_eq!(choose(dir.path(), Some(any)).ok(), Some(any));
        assert!(choose(dir.path(), Some(address)).is_err());
        drop(listener);
        assert_eq!(choose(dir.path(), Some(any)).ok(), Some(address));
        assert_eq!(choose(dir.path(), None).ok(), Some(address));
    }
}
