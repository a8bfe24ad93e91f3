//! A certificate that somebody else provides and renews: files in a directory, as Kubernetes mounts a TLS secret.
//!
//! The files are read again every minute: a certificate manager renews weeks before the end, and a mounted secret is
//! replaced within a minute or two. Files that do not fit each other are left for the next look, with the certificate
//! that is in use kept: they may be just being replaced.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::identity::Identity;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Reads `tls.crt` and `tls.key` from `dir`.
pub(crate) fn read(dir: &Path) -> anyhow::Result<Identity> {
    let files = Files { dir: dir.to_owned() };
    let content = files.read()?;
    let current = Arc::new(Current(RwLock::new(content.key()?)));
    let mut tls =
        ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::clone(&current) as Arc<_>);
    tls.alpn_protocols = crate::identity::protocols();
    let authority = dir.join("ca.crt");
    let ca_file = if authority.is_file() { authority } else { dir.join("tls.crt") };
    let renewals = Box::pin(follow(files, content, current));
    Ok(Identity { tls: Arc::new(tls), ca_file, renewals })
}

/// Takes up new files for ever.
async fn follow(files: Files, mut used: Content, current: Arc<Current>) {
    let mut complained = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match take_up(&files, &mut used, &current) {
            Ok(false) => {}
            Ok(true) => {
                complained = false;
                tracing::info!("took up the new certificate in {}", files.dir.display());
            }
            Err(error) => {
                if !std::mem::replace(&mut complained, true) {
                    tracing::warn!("the certificate stays as it is: {error:#}");
                }
            }
        }
    }
}

/// Replaces the certificate if the files have changed; says whether they have.
fn take_up(files: &Files, used: &mut Content, current: &Current) -> anyhow::Result<bool> {
    let content = files.read()?;
    if content == *used {
        return Ok(false);
    }
    let key = content.key()?;
    *current.0.write().unwrap_or_else(PoisonError::into_inner) = key;
    *used = content;
    Ok(true)
}

struct Files {
    dir: PathBuf,
}

impl Files {
    fn read(&self) -> anyhow::Result<Content> {
        let read = |name| {
            let path = self.dir.join(name);
            std::fs::read(&path).with_context(|| {
                format!(
                    "cannot read {}; name a directory with tls.crt and tls.key with --tls",
                    path.display()
                )
            })
        };
        Ok(Content { dir: self.dir.clone(), certificates: read("tls.crt")?, key: read("tls.key")? })
    }
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Content {
    dir: PathBuf,
    certificates: Vec<u8>,
    key: Vec<u8>,
}

impl Content {
    fn key(&self) -> anyhow::Result<Arc<CertifiedKey>> {
        let dir = self.dir.display();
        let chain = CertificateDer::pem_slice_iter(&self.certificates)
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("{dir}/tls.crt holds no PEM certificates"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .with_context(|| format!("{dir}/tls.key holds no PEM private key"))?;
        let provider = CryptoProvider::get_default().context("no crypto provider was chosen")?;
        let key = CertifiedKey::from_der(chain, key, provider)
            .with_context(|| format!("{dir}/tls.key is not the key of {dir}/tls.crt"))?;
        Ok(Arc::new(key))
    }
}

/// The certificate in use. A plain lock: it is held for the copy of a pointer.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[cfg(test)]
mod tests {
    use keyring::pki::Ca;
    use model::Timestamp;
    use secrecy::ExposeSecret;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_478_400_000);

    /// A directory with a certificate for a name.
    fn write(dir: &Path, name: &str) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let issued = Ca::new("test", NOW).unwrap().issue_server(&[name], NOW, 30).unwrap();
        std::fs::write(dir.join("tls.crt"), &issued.cert_chain_pem).unwrap();
        std::fs::write(dir.join("tls.key"), issued.key_pem.expose_secret()).unwrap();
    }

    fn complaint(dir: &Path) -> String {
        read(dir).err().map(|error| format!("{error:#}")).unwrap()
    }

    #[test]
    fn a_new_certificate_is_taken_up_and_a_half_replaced_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "localhost");
        let files = Files { dir: dir.path().to_owned() };
        let mut used = files.read().unwrap();
        let current = Current(RwLock::new(used.key().unwrap()));
        let shown = || current.0.read().unwrap().cert.clone();
        let first = shown();
        assert!(!take_up(&files, &mut used, &current).unwrap());
        let old_key = std::fs::read(dir.path().join("tls.key")).unwrap();
        write(dir.path(), "example.org");
        let new_key = std::fs::read(dir.path().join("tls.key")).unwrap();
        std::fs::write(dir.path().join("tls.key"), old_key).unwrap();
        take_up(&files, &mut used, &current).unwrap_err();
        assert_eq!(shown(), first);
        std::fs::write(dir.path().join("tls.key"), new_key).unwrap();
        assert!(take_up(&files, &mut used, &current).unwrap());
        assert_ne!(shown(), first);
    }

    #[test]
    fn files_that_are_missing_or_wrong_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(complaint(dir.path()).contains("cannot read"));
        write(dir.path(), "localhost");
        std::fs::write(dir.path().join("tls.key"), "nothing").unwrap();
        assert!(complaint(dir.path()).contains("tls.key holds no PEM private key"));
    }

    #[test]
    fn clients_are_told_of_the_authority_where_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "localhost");
        assert_eq!(read(dir.path()).unwrap().ca_file, dir.path().join("tls.crt"));
        std::fs::write(dir.path().join("ca.crt"), "an authority").unwrap();
        assert_eq!(read(dir.path()).unwrap().ca_file, dir.path().join("ca.crt"));
    }
}
