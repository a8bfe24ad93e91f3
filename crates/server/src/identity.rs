//! The server's own certificate. A local CA, made once per directory, signs a fresh one at each start: clients pin the CA,
//! so nothing has to be told to them when names or dates change. One that somebody else provides is in
//! [`crate::provided`].

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Context;
use keyring::pki::Ca;
use model::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret;

use crate::directory::{write_public, write_secret};

/// Longer than any process runs without a restart, shorter than browsers complain about.
const CERTIFICATE_DAYS: u32 = 397;

/// Names that a server on this machine always has.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What the server shows to its clients.
pub(crate) struct Identity {
    /// The configuration to accept connections with.
    pub(crate) tls: Arc<ServerConfig>,
    /// The file that holds the CA's certificate.
    pub(crate) ca_file: PathBuf,
    /// Takes up renewed certificates, for as long as it runs.
    pub(crate) renewals: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What connections may speak.
pub(crate) fn protocols() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

/// Reads or makes the CA in `dir`, and issues a certificate for this machine's names and `public_names`.
pub(crate) fn make(dir: &Path, public_names: &[String], now: Timestamp) -> anyhow::Result<Identity> {
    let ca_dir = dir.join("ca");
    std::fs::create_dir_all(&ca_dir).with_context(|| format!("cannot make {}", ca_dir.display()))?;
    let ca_file = ca_dir.join("ca.pem");
    let ca = read_or_make(&ca_file, &ca_dir.join("ca.key"), now)?;
    let names: Vec<&str> =
        LOCAL_NAMES.iter().copied().chain(public_names.iter().map(String::as_str)).collect();
    let issued =
        ca.issue_server(&names, now, CERTIFICATE_DAYS).context("cannot issue the server's certificate")?;
    let chain = CertificateDer::pem_slice_iter(issued.cert_chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context("the certificate that was just issued does not read")?;
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose_secret().as_bytes())
        .context("the key that was just made does not read")?;
    let mut tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the server's certificate cannot be used")?;
    tls.alpn_protocols = protocols();
    // It outlives the process: nothing to renew.
    Ok(Identity { tls: Arc::new(tls), ca_file, renewals: Box::pin(std::future::ready(())) })
}

/// The key is written before the certificate: whoever finds a certificate finds its key.
fn read_or_make(cert_file: &Path, key_file: &Path, now: Timestamp) -> anyhow::Result<Ca> {
    if cert_file.exists() {
        let cert = std::fs::read_to_string(cert_file);
        let key = std::fs::read_to_string(key_file);
        let (cert, key) = cert.and_then(|cert| Ok((cert, key?))).with_context(|| {
            format!("cannot read the certificate authority {} and its key", cert_file.display())
        })?;
        return Ca::from_pem(&cert, &key).with_context(|| {
            format!(
                "{} or its key is damaged; remove both to have new ones, which clients must then trust anew",
                cert_file.display()
            )
        });
    }
    let ca = Ca::new("Penstock on this machine", now).context("cannot make a certificate authority")?;
    write_secret(key_file, ca.key_pem().expose_secret().as_bytes())?;
    write_public(cert_file, ca.cert_pem().as_bytes())?;
    Ok(ca)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_outlives_a_restart() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let first = make(dir.path(), &[], Timestamp(1_795_478_400_000)).unwrap();
        let ca = std::fs::read(&first.ca_file).unwrap();
        let second = make(dir.path(), &["example.org".to_owned()], Timestamp(1_795_478_500_000)).unwrap();
        assert_eq!(std::fs::read(&second.ca_file).unwrap(), ca);
    }
}
