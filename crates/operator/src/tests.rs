//! Pure steps by fixtures, manifests by golden files, requests by a server that answers as an API server would.

pub(crate) mod fixture;
mod manifests;
mod observing;
mod operating;
mod requests;
pub(crate) mod server;
mod statuses;
