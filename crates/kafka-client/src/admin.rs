//! Administrative calls, one file for each subject.
//!
//! Every call goes to a broker that can answer it: any broker for topics and configuration (a broker forwards what
//! only the controller may do), the leader for offsets and records, the coordinator for groups.

pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod groups;
mod log_dirs;
pub(crate) mod offsets;
pub(crate) mod records;
pub(crate) mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::Request;
use rustls::ClientConfig;
use tokio::sync::Mutex;

use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;
use crate::tls;

/// A handle on a cluster, shared by cloning.
#[derive(Clone, Debug)]
pub struct Admin {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
    /// By host and port. At most one for each broker that was ever asked, and clusters are small.
    connections: Mutex<BTreeMap<(String, u16), Connection>>,
}

impl Admin {
    /// Connects to the first bootstrap broker that can be reached.
    pub async fn connect(config: Config) -> Result<Admin, Error> {
        let tls = config.tls.as_ref().map(tls::client_config).transpose()?;
        let admin =
            Admin { inner: Arc::new(Inner { config, tls, connections: Mutex::new(BTreeMap::new()) }) };
        admin.any().await?;
        Ok(admin)
    }

    /// A connection to any broker: one that is open, else to the first bootstrap broker that answers.
    async fn any(&self) -> Result<Connection, Error> {
        let mut tried = Vec::new();
        for (host, port) in &self.inner.config.bootstrap {
            match self.to(host, *port).await {
                Ok(connection) => return Ok(connection),
                Err(Error::Config { what, reason }) => return Err(Error::Config { what, reason }),
                Err(e) => tried.push(e.to_string()),
            }
        }
        if tried.is_empty() {
            return Err(Error::Config { what: "the list of brokers", reason: "it is empty".into() });
        }
        Err(Error::Unreachable { tried: tried.join("; ") })
    }

    /// The open connection to this broker, or a new one.
    async fn to(&self, host: &str, port: u16) -> Result<Connection, Error> {
        let inner = &self.inner;
        let address = (host.to_owned(), port);
        // Held while connecting, so that many callers open one connection and not many. A broker that does not
        // answer delays calls to others by the timeout at most.
        let mut connections = inner.connections.lock().await;
        if let Some(open) = connections.get(&address).filter(|c| !c.is_closed()) {
            return Ok(open.clone());
        }
        let config = &inner.config;
        let connection =
            Connection::open(host, port, inner.tls.clone(), &config.client_id, config.timeout).await?;
        connections.insert(address, connection.clone());
        Ok(connection)
    }

    /// Calls any broker.
    async fn call<R: Request>(&self, request: &R) -> Result<R::Response, Error> {
        self.call_up_to(request, i16::MAX).await
    }

    /// Calls any broker, in a version not above `highest`.
    async fn call_up_to<R: Request>(&self, request: &R, highest: i16) -> Result<R::Response, Error> {
        let connection = self.any().await?;
        self.call_over(&connection, request, highest).await
    }

    /// Calls over a connection, which is given up if it does not answer: behind it the next call would wait too.
    async fn call_over<R: Request>(
        &self,
        connection: &Connection,
        request: &R,
        highest: i16,
    ) -> Result<R::Response, Error> {
        let answer = connection.call_up_to(request, highest).await;
        if matches!(answer, Err(Error::TimedOut { .. })) {
            self.inner.connections.lock().await.retain(|_, open| open.peer() != connection.peer());
        }
        answer
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.inner.config.timeout.as_millis()).unwrap_or(i32::MAX)
    }
}
