//! Pure steps by fixtures, manifests by golden files, requests by a server that answers as it is told.

pub(crate) mod fixture;
