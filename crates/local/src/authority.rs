//! The cluster's own certificate authority, and the certificate of each broker. The authority's key never leaves the
//! cluster's directory.

use std::io;
use std::net::IpAddr;

use keyring::pki::{Ca, PkiError};
use model::Timestamp;
use model::certificate::Validity;
use secrecy::ExposeSecret;
use thiserror::Error;

use crate::files::{self, Mode};
use crate::layout::{BrokerDir, ClusterDir};

/// How long a broker's certificate is valid: two years and a quarter, the longest that some TLS clients accept. It is made
/// anew at every start of the broker; one that runs for two thirds of that time is restarted for it.
const IDENTITY_VALID_DAYS: u32 = 825;

#[derive(Debug, Error)]
pub(crate) enum AuthorityError {
    /// A file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// The certificate of the cluster's authority, if it has one.
pub(crate) fn certificate(cluster: &ClusterDir) -> io::Result<Option<String>> {
    files::read_if_there(&cluster.ca().join("ca.pem"))
}

/// The cluster's authority; made the first time.
fn load_or_create(cluster: &ClusterDir, name: &str, now: Timestamp) -> Result<Ca, AuthorityError> {
    let (certificate, key) = (cluster.ca().join("ca.pem"), cluster.ca().join("ca.key"));
    if let (Some(certificate), Some(key)) = (files::read_if_there(&certificate)?, files::read_if_there(&key)?)
    {
        return Ok(Ca::from_pem(&certificate, &key)?);
    }
    let ca = Ca::new(&format!("{name} brokers"), now)?;
    files::make_private_dir(&cluster.ca())?;
    // The certificate last: its presence says that the authority is complete. A key without one signed nothing yet.
    files::replace(&key, ca.key_pem().expose_secret().as_bytes(), Mode::Secret)?;
    files::replace(&certificate, ca.cert_pem().as_bytes(), Mode::Public)?;
    Ok(ca)
}

/// Gives a broker its certificate and key. Returns when the certificate is valid.
pub(crate) fn issue(
    cluster: &ClusterDir,
    cluster_name: &str,
    broker: &BrokerDir,
    host: IpAddr,
    now: Timestamp,
) -> Result<Validity, AuthorityError> {
    let ca = load_or_create(cluster, cluster_name, now)?;
    let mut names = vec![host.to_string(), "localhost".to_owned()];
    for loopback in ["127.0.0.1", "::1"] {
        if names[0] != loopback {
            names.push(loopback.to_owned());
        }
    }
    let identity = ca.issue_server(&names, now, IDENTITY_VALID_DAYS)?;
    let both = format!("{}{}", identity.cert_chain_pem, identity.key_pem.expose_secret());
    files::replace_quickly(&broker.identity(), both.as_bytes(), Mode::Secret)?;
    Ok(Validity { from: now, until: identity.expires_at })
}
