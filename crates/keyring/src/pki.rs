//! Certificate authorities and the certificates that they sign: ECDSA P-256, X.509 v3, PEM everywhere.
//!
//! A cluster has two authorities: one signs the brokers' certificates, the other those
//! of clients. Both are a [`Ca`]; what a certificate may be used for is in the certificate itself, so neither can be
//! talked into vouching for the other's side.
//!
//! Private keys leave as PKCS#8 PEM, the form that librdkafka, Java's PEM key stores and rustls all read.

use std::net::IpAddr;
use std::time::Duration;

use model::Timestamp;
use model::certificate::Validity;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;
use x509_parser::extensions::ParsedExtension;

/// How long an authority lives. Rotation replaces it long before; this only must not end first, since every client
/// of a cluster would be cut off at the same instant.
pub const CA_VALID_DAYS: u32 = 3_650;

/// Certificates start this long before they are made: machines whose clocks are behind by less accept them.
const BACKDATE: Duration = Duration::from_secs(3_600);

const DAY: Duration = Duration::from_secs(86_400);

/// A certificate or key could not be made or read.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A name does not fit into a certificate.
    #[error("{name:?} cannot be a name in a certificate")]
    Name {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A key could not be made, or signing failed.
    #[error("a certificate could not be made")]
    Issue(#[source] rcgen::Error),
    /// The stored authority is not one.
    #[error("the stored certificate authority could not be read")]
    ReadCa(#[source] rcgen::Error),
    /// No PEM certificate where one was expected.
    #[error("the text holds no PEM certificate")]
    NoCertificate,
}

/// A certificate authority with its private key.
pub struct Ca {
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate that was signed for somebody, with its private key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate (PEM); a root is not repeated in it, since whoever checks must have it anyway.
    pub cert_chain_pem: String,
    /// The private key, PKCS#8 PEM without a password.
    pub key_pem: SecretString,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Ca {
    /// Makes an authority that is valid from `now`.
    pub fn new(common_name: &str, now: Timestamp) -> Result<Ca, PkiError> {
        let mut params = named(common_name)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, CA_VALID_DAYS);
        let key = new_key()?;
        let cert_pem = params.self_signed(&key).map_err(PkiError::Issue)?.pem();
        Ok(Ca { cert_pem, issuer: Issuer::new(params, key) })
    }

    /// An authority that was made earlier.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Ca, PkiError> {
        let key = KeyPair::from_pem(key_pem).map_err(PkiError::ReadCa)?;
        let issuer = Issuer::from_ca_cert_pem(cert_pem, key).map_err(PkiError::ReadCa)?;
        Ok(Ca { cert_pem: cert_pem.to_owned(), issuer })
    }

    /// Its certificate, which is public.
    #[must_use]
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// Whether it is the authority that signed a certificate (PEM), by the name of the key in both. Enough to tell an
    /// authority from its successor; no proof against somebody who wants to deceive.
    #[must_use]
    pub fn has_signed(&self, certificate_pem: &str) -> bool {
        let key_id = |pem: &str, of_issuer: bool| -> Option<Vec<u8>> {
            let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
            let certificate = block.parse_x509().ok()?;
            certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(it) if of_issuer => {
                    it.key_identifier.as_ref().map(|id| id.0.to_vec())
                }
                ParsedExtension::SubjectKeyIdentifier(id) if !of_issuer => Some(id.0.to_vec()),
                _ => None,
            })
        };
        let own = key_id(&self.cert_pem, false);
        own.is_some() && own == key_id(certificate_pem, true)
    }

    /// Its private key, PKCS#8 PEM.
    #[must_use]
    pub fn key_pem(&self) -> SecretString {
        self.issuer.key().serialize_pem().into()
    }

    /// Signs a certificate for a server that is reached under `names` (host names and IP addresses).
    pub fn issue_server<S: AsRef<str>>(
        &self,
        names: &[S],
        now: Timestamp,
        days: u32,
    ) -> Result<Identity, PkiError> {
        let mut params = named(names.first().map_or("server", AsRef::as_ref))?;
        params.subject_alt_names =
            names.iter().map(|name| alternative_name(name.as_ref())).collect::<Result<_, _>>()?;
        // Brokers also call each other, with this certificate.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, now, days)
    }

    /// Signs a certificate for a client. Kafka's principal is `User:CN=<common name>`.
    pub fn issue_client(&self, common_name: &str, now: Timestamp, days: u32) -> Result<Identity, PkiError> {
        let mut params = named(common_name)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, now, days)
    }

    fn issue(&self, mut params: CertificateParams, now: Timestamp, days: u32) -> Result<Identity, PkiError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let expires_at = set_validity(&mut params, now, days);
        let key = new_key()?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(PkiError::Issue)?;
        Ok(Identity { cert_chain_pem: certificate.pem(), key_pem: key.serialize_pem().into(), expires_at })
    }
}

impl Clone for Ca {
    fn clone(&self) -> Ca {
        Ca::from_pem(&self.cert_pem, self.key_pem().expose_secret())
            .expect("an authority that was made or read once reads again")
    }
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// SHA-256 over the first certificate of a PEM text, as 64 lower-case hexadecimal digits.
pub fn fingerprint_sha256(pem: &str) -> Result<String, PkiError> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| PkiError::NoCertificate)?;
    if block.label != "CERTIFICATE" {
        return Err(PkiError::NoCertificate);
    }
    Ok(Sha256::digest(&block.contents).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// When the first certificate of a PEM text is valid.
pub fn validity(pem: &str) -> Result<Validity, PkiError> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| PkiError::NoCertificate)?;
    let certificate = block.parse_x509().map_err(|_| PkiError::NoCertificate)?;
    let at = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1_000));
    let validity = certificate.validity();
    Ok(Validity { from: at(validity.not_before), until: at(validity.not_after) })
}

fn new_key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::Issue)
}

fn named(common_name: &str) -> Result<CertificateParams, PkiError> {
    // An empty list of alternative names cannot be refused; the error is mapped all the same.
    let mut params = CertificateParams::new(Vec::<String>::new()).map_err(PkiError::Issue)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

fn alternative_name(name: &str) -> Result<SanType, PkiError> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => name
            .try_into()
            .map(SanType::DnsName)
            .map_err(|source| PkiError::Name { name: name.to_owned(), source }),
    }
}

/// Sets both ends and returns the later one. X.509 counts whole seconds and four-digit years, hence the bounds.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: u32) -> Timestamp {
    const LAST_SECOND_OF_9999: u64 = 253_402_300_799;
    let seconds = u64::try_from(now.0 / 1_000).unwrap_or(0);
    let start = seconds.saturating_sub(BACKDATE.as_secs()).min(LAST_SECOND_OF_9999);
    let end = seconds.saturating_add(DAY.as_secs() * u64::from(days)).min(LAST_SECOND_OF_9999);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(start);
    params.not_after = epoch + Duration::from_secs(end);
    Timestamp(i64::try_from(end * 1_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;

    /// 2026-11-24T00:00:00Z.
    const NOW: Timestamp = Timestamp(1_795_478_400_000);

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    fn roots(ca: &Ca) -> Arc<rustls::RootCertStore> {
        let mut store = rustls::RootCertStore::empty();
        store.add(der(ca.cert_pem())).unwrap();
        Arc::new(store)
    }

    fn at(now: Timestamp) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_millis(now.0 as u64))
    }

    fn check_server(ca: &Ca, identity: &Identity, name: &str, now: Timestamp) -> Result<(), rustls::Error> {
        use rustls::client::danger::ServerCertVerifier;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::client::WebPkiServerVerifier::builder_with_provider(roots(ca), provider)
            .build()
            .unwrap()
            .verify_server_cert(
                &der(&identity.cert_chain_pem),
                &[],
                &ServerName::try_from(name.to_owned()).unwrap(),
                &[],
                at(now),
            )
            .map(|_| ())
    }

    fn check_client(ca: &Ca, identity: &Identity, now: Timestamp) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots(ca), provider)
            .build()
            .unwrap()
            .verify_client_cert(&der(&identity.cert_chain_pem), &[], at(now))
            .map(|_| ())
    }

    #[test]
    fn rustls_accepts_what_we_issue_under_its_names_and_in_its_time() {
        let ca = Ca::new("orders brokers", NOW).unwrap();
        let server = ca.issue_server(&["localhost", "127.0.0.1", "::1"], NOW, 90).unwrap();
        for name in ["localhost", "127.0.0.1", "::1"] {
            check_server(&ca, &server, name, NOW).unwrap();
        }
        check_server(&ca, &server, "example.org", NOW).unwrap_err();
        check_server(&ca, &server, "localhost", server.expires_at.plus(Duration::from_secs(2))).unwrap_err();
        assert_eq!(server.expires_at, NOW.plus(90 * DAY));
    }

    #[test]
    fn a_client_certificate_is_no_server_certificate_and_no_other_authority_vouches_for_it() {
        let ca = Ca::new("orders clients", NOW).unwrap();
        let other = Ca::new("orders clients", NOW).unwrap();
        let client = ca.issue_client("app", NOW, 90).unwrap();
        check_client(&ca, &client, NOW).unwrap();
        check_client(&other, &client, NOW).unwrap_err();
        check_server(&ca, &client, "app", NOW).unwrap_err();
    }

    #[test]
    fn a_certificate_says_when_it_is_valid_and_who_signed_it() {
        let ca = Ca::new("orders clients", NOW).unwrap();
        let client = ca.issue_client("app", NOW, 90).unwrap();
        let validity = validity(&client.cert_chain_pem).unwrap();
        assert_eq!(validity.until, client.expires_at);
        assert_eq!(NOW.since(validity.from), BACKDATE);
        assert!(ca.has_signed(&client.cert_chain_pem));
        assert!(!Ca::new("orders clients", NOW).unwrap().has_signed(&client.cert_chain_pem));
        assert!(!ca.has_signed("no certificate"));
        assert!(matches!(super::validity("no certificate"), Err(PkiError::NoCertificate)));
    }

    #[test]
    fn an_authority_that_was_stored_and_read_goes_on_signing() {
        let ca = Ca::new("orders clients", NOW).unwrap();
        let again = Ca::from_pem(ca.cert_pem(), ca.key_pem().expose_secret()).unwrap();
        let client = again.issue_client("app", NOW, 1).unwrap();
        check_client(&ca, &client, NOW).unwrap();
        assert_eq!(again.cert_pem(), ca.cert_pem());
    }

    #[test]
    fn keys_are_pkcs8_and_debug_output_hides_them() {
        let ca = Ca::new("orders clients", NOW).unwrap();
        let client = ca.issue_client("app", NOW, 1).unwrap();
        assert!(client.key_pem.expose_secret().starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(!format!("{client:?} {ca:?}").contains("PRIVATE KEY"));
    }

    #[test]
    fn the_fingerprint_is_of_the_first_certificate() {
        let ca = Ca::new("a", NOW).unwrap();
        let fingerprint = fingerprint_sha256(ca.cert_pem()).unwrap();
        assert_eq!(fingerprint.len(), 64);
        let two = format!("{}{}", ca.cert_pem(), Ca::new("b", NOW).unwrap().cert_pem());
        assert_eq!(fingerprint_sha256(&two).unwrap(), fingerprint);
        assert!(fingerprint_sha256(ca.key_pem().expose_secret()).is_err());
    }

    #[test]
    fn a_name_that_is_no_name_is_refused() {
        let ca = Ca::new("a", NOW).unwrap();
        assert!(matches!(ca.issue_server(&["näme"], NOW, 1), Err(PkiError::Name { .. })));
    }
}
