//! From PEM to a TLS client.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config::Tls;
use crate::error::Error;

/// Reads the certificates once; connections share the result and resume each other's sessions.
pub(crate) fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, Error> {
    let wrong = |what| move |reason: String| Error::Config { what, reason };
    let mut roots = RootCertStore::empty();
    for authority in certificates(&tls.ca_pem).map_err(wrong("the brokers' CA certificate"))? {
        roots.add(authority).map_err(|e| wrong("the brokers' CA certificate")(e.to_string()))?;
    }
    let chain = certificates(&tls.cert_pem).map_err(wrong("the client's certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(tls.key_pem.as_bytes())
        .map_err(|e| wrong("the client's private key")(e.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong("TLS")(e.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|e| wrong("the client's certificate with its key")(e.to_string()))?;
    Ok(Arc::new(config))
}

/// The certificates in `pem`, of which there must be one.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    if all.is_empty() { Err("there is no certificate in it".into()) } else { Ok(all) }
}
