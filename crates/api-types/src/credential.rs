//! Credentials: client certificates with which programs connect to the brokers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a credential is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CredentialState)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The brokers accept it.
    Active,
    /// It was taken back.
    Revoked,
}

/// A client certificate that was handed out; the private key is not kept readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// SHA-256 over the certificate, in hexadecimal digits.
    pub fingerprint_sha256: String,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ends.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// When it was taken back.
    #[schema(format = DateTime)]
    pub revoked_at: Option<String>,
}

/// What is needed to make a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCredential {
    /// A name of your choice, for instance that of the program that will use it.
    pub name: String,
}

/// A new credential with its private key. The key is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedCredential {
    /// The credential.
    pub credential: Credential,
    /// The certificate (PEM).
    pub cert_pem: String,
    /// The private key (PKCS#8 PEM, no password).
    pub key_pem: String,
    /// The CA of the brokers' certificates (PEM), once the cluster has one.
    pub ca_pem: Option<String>,
}

impl fmt::Debug for IssuedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedCredential").field("credential", &self.credential).finish_non_exhaustive()
    }
}

/// The environment variables with which an application finds its cluster: `KAFKA_URL` and its companions.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ConfigVars(pub BTreeMap<String, String>);

impl fmt::Debug for ConfigVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
