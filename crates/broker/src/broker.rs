//! The state that all connections share.

use std::sync::Arc;

use protocol::Str;

use crate::config::{Config, Protocol};
use crate::coordinator::Coordinator;

/// Where a listener really is, and what clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Which listener.
    pub protocol: Protocol,
    /// Name or address for clients.
    pub host: Str,
    /// Port for clients.
    pub port: u16,
}

/// Everything a request may touch. Cheap to share, and no part of it needs a lock across an await.
pub struct Broker {
    /// What the process was told to be.
    pub config: Config,
    /// Group state.
    pub coordinator: Arc<Coordinator>,
    /// What clients are told to connect to.
    pub endpoints: Vec<Endpoint>,
}

impl Broker {
    /// What clients of this listener are told to connect to.
    #[must_use]
    pub fn endpoint(&self, protocol: Protocol) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.protocol == protocol)
    }
}
