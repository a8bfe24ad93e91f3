//! What a client must be told.

use std::fmt;
use std::time::Duration;

/// Long enough for a broker that is busy or just starting, short enough that a request to the platform that waits
/// for one call still answers in time.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the brokers are and how to talk to them.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port of some brokers; any one of them leads to all others.
    pub bootstrap: Vec<(String, u16)>,
    /// Nothing means plaintext.
    pub tls: Option<Tls>,
    /// What the client calls itself in the broker's logs and quotas.
    pub client_id: String,
    /// How long to wait for a connection, and for the answer to a call.
    pub timeout: Duration,
}

impl Config {
    /// Plaintext to these brokers, with the default timeout.
    pub fn new(bootstrap: Vec<(String, u16)>) -> Config {
        Config { bootstrap, tls: None, client_id: "penstock".into(), timeout: DEFAULT_TIMEOUT }
    }

    /// The same over TLS.
    pub fn with_tls(mut self, tls: Tls) -> Config {
        self.tls = Some(tls);
        self
    }
}

/// Certificates for mutual TLS, all in PEM.
#[derive(Clone)]
pub struct Tls {
    /// The authorities that brokers' certificates come from.
    pub ca_pem: String,
    /// The client's certificate, with intermediate ones behind it.
    pub cert_pem: String,
    /// The client's private key.
    pub key_pem: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret, and the certificates are noise.
        f.write_str("Tls { .. }")
    }
}
