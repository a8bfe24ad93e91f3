//! TLS for listeners: PEM files in, a rustls acceptor out, and from a handshake the client's name.
//!
//! TLS 1.2 and 1.3 with session resumption by tickets. Clients need not send a server name: there is one certificate.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::{ClientAuth, Tls};
use crate::principal::Principal;

/// What a TLS connection may buffer before it must be written: one record and a bit, so that a client which does not
/// read holds kilobytes and not what we have for it.
pub(crate) const BUFFER_LIMIT_BYTES: usize = 32 * 1024;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{path}` (named by `{setting}`)")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file lacks what it should hold.
    #[error("`{path}` (named by `{setting}`) {problem}")]
    Content {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What lacks.
        problem: String,
    },
    /// The parts do not fit together.
    #[error("TLS cannot be set up: {0}")]
    Together(String),
}

const KEYSTORE: &str = "ssl.keystore.location";
const TRUSTSTORE: &str = "ssl.truststore.location";

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { setting, path: path.to_owned(), source })
}

fn certificates(
    setting: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = |problem: String| TlsError::Content { setting, path: path.to_owned(), problem };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| content(format!("holds a broken certificate: {error}")))?;
    if all.is_empty() {
        return Err(content("holds no `BEGIN CERTIFICATE`".to_owned()));
    }
    Ok(all)
}

/// Makes an acceptor from the configured files.
///
/// # Errors
/// Names the setting and file that cannot be used.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let path =
        tls.keystore.as_deref().ok_or_else(|| TlsError::Together(format!("`{KEYSTORE}` is not set")))?;
    let pem = read(KEYSTORE, path)?;
    let chain = certificates(KEYSTORE, path, &pem)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| TlsError::Content {
        setting: KEYSTORE,
        path: path.to_owned(),
        problem: format!("holds no usable private key: {error}"),
    })?;
    let together = |error: rustls::Error| TlsError::Together(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(together)?;
    let builder = match (tls.client_auth, tls.truststore.as_deref()) {
        (ClientAuth::None, _) | (ClientAuth::Required, None) => builder.with_no_client_auth(),
        (ClientAuth::Required, Some(path)) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(TRUSTSTORE, path, &read(TRUSTSTORE, path)?)? {
                roots.add(certificate).map_err(|error| TlsError::Content {
                    setting: TRUSTSTORE,
                    path: path.to_owned(),
                    problem: format!("holds a CA that cannot be used: {error}"),
                })?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| TlsError::Together(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(together)?;
    // Resumption by tickets alone: a session cache would be memory that clients can make grow.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(together)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The client that a finished handshake established.
#[must_use]
pub fn principal(connection: &rustls::ServerConnection) -> Principal {
    let name = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .and_then(|leaf| x509_parser::parse_x509_certificate(leaf.as_ref()).ok())
        .map(|(_, certificate)| distinguished_name(certificate.subject()));
    name.map_or_else(Principal::anonymous, Principal::certificate)
}

/// A subject in RFC 2253 order, most specific first, as Kafka's default principal builder prints it.
fn distinguished_name(subject: &x509_parser::x509::X509Name<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for attribute in subject.iter_attributes() {
        let oid = attribute.attr_type();
        let short = x509_parser::objects::oid2abbrev(oid, x509_parser::objects::oid_registry())
            .map_or_else(|_| oid.to_id_string(), str::to_owned);
        let value = attribute.as_str().unwrap_or_default();
        let escaped: String = value
            .chars()
            .flat_map(|c| {
                let special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
                special.then_some('\\').into_iter().chain([c])
            })
            .collect();
        parts.push(format!("{short}={escaped}"));
    }
    parts.reverse();
    parts.join(",")
}

/// Client certificates that are refused although a trusted CA signed them: SHA-256 of their DER encoding.
#[derive(Debug, Default)]
pub struct Revoked(std::collections::BTreeSet<[u8; 32]>);

impl Revoked {
    /// Those with these fingerprints.
    #[must_use]
    pub fn new(fingerprints: impl IntoIterator<Item = [u8; 32]>) -> Revoked {
        Revoked(fingerprints.into_iter().collect())
    }

    /// Whether the client at the other end showed one of them.
    #[must_use]
    pub fn contains(&self, connection: &rustls::ServerConnection) -> bool {
        use sha2::Digest;
        let leaf = connection.peer_certificates().and_then(|chain| chain.first());
        // A resumed session carries the certificate of the first one.
        leaf.is_some_and(|leaf| self.0.contains(&<[u8; 32]>::from(sha2::Sha256::digest(leaf.as_ref()))))
    }
}
