//! Secrets: the cluster's authorities, a broker's identity, and what a client needs.

use crd::labels;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keyring::pki::{Ca, Identity};
use model::BrokerId;
use model::status::Endpoint;
use secrecy::ExposeSecret;

use super::{lasting, owned};
use crate::valid::Valid;

/// Key of a broker's certificate and private key in one PEM text, as the broker reads it.
pub const IDENTITY: &str = "node.pem";

/// Key of an authority's certificate.
pub const CA_CERTIFICATE: &str = "ca.crt";

/// Key of an authority's private key.
pub const CA_KEY: &str = "ca.key";

/// The secret with an authority.
#[must_use]
pub fn authority(valid: &Valid, name: String, ca: &Ca) -> Secret {
    let key = ca.key_pem();
    let data = [(CA_CERTIFICATE, ca.cert_pem()), (CA_KEY, key.expose_secret())];
    opaque(lasting(valid, name, valid.labels()), &data)
}

/// The secret with a broker's certificate and key.
#[must_use]
pub fn identity(valid: &Valid, broker: BrokerId, pool: &str, identity: &Identity) -> Secret {
    let both = format!("{}{}", identity.cert_chain_pem, identity.key_pem.expose_secret());
    let name = labels::broker_name(valid.name(), broker);
    opaque(owned(valid, name, valid.broker_labels(broker, pool)), &[(IDENTITY, &both)])
}

/// What a client needs, under the names that Heroku's clients know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The client's certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// The secret with all that a client needs.
#[must_use]
pub fn client(valid: &Valid, brokers: &[Endpoint], cluster_ca: &str, files: &ClientFiles) -> Secret {
    let url: Vec<String> = brokers.iter().map(|endpoint| format!("kafka+ssl://{endpoint}")).collect();
    let data = [
        ("KAFKA_URL", url.join(",")),
        ("KAFKA_TRUSTED_CERT", cluster_ca.to_owned()),
        ("KAFKA_CLIENT_CERT", files.certificate.clone()),
        ("KAFKA_CLIENT_CERT_KEY", files.key.clone()),
    ];
    let data: Vec<(&str, &str)> = data.iter().map(|(key, value)| (*key, value.as_str())).collect();
    opaque(owned(valid, labels::client_name(valid.name()), valid.labels()), &data)
}

/// The text under a key of a secret.
#[must_use]
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    let ByteString(bytes) = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.clone()).ok()
}

/// The authority in a secret, if the secret is whole.
#[must_use]
pub fn read_authority(secret: &Secret) -> Option<Ca> {
    Ca::from_pem(&text(secret, CA_CERTIFICATE)?, &text(secret, CA_KEY)?).ok()
}

/// A client's certificate and key in a secret that [`client`] made, if it is whole.
#[must_use]
pub fn read_client(secret: &Secret) -> Option<ClientFiles> {
    Some(ClientFiles {
        certificate: text(secret, "KAFKA_CLIENT_CERT")?,
        key: text(secret, "KAFKA_CLIENT_CERT_KEY")?,
    })
}

fn opaque(metadata: ObjectMeta, data: &[(&str, &str)]) -> Secret {
    let bytes = |(key, value): &(&str, &str)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()));
    Secret {
        metadata,
        type_: Some("Opaque".to_owned()),
        data: Some(data.iter().map(bytes).collect()),
        ..Secret::default()
    }
}
