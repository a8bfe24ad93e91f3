//! Credentials: client certificates that the brokers of one cluster accept.
//!
//! Their authority belongs to the platform, one for each cluster; its private key is sealed in the store, and brokers
//! only ever see its certificate. The platform itself goes to the brokers with such a certificate, which lives for a
//! day and is kept in memory only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use keyring::pki::{self, Ca, Identity};
use model::operation::Kind;
use model::resource::State;
use model::{ClusterId, CredentialId, OperationId, ResourceId, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Constraint, StoreError};

use crate::audit::Entry;
use crate::caller::Caller;
use crate::idempotency::Request;
use crate::problem::Problem;
use crate::{Control, ResourceRef, intent, name, operation, resource};

/// The name of the credential that every resource has from the beginning; config vars show it.
pub(crate) const DEFAULT_NAME: &str = "default";

/// How long a credential lives. Nobody rotates it by itself yet, so it must not end under a running app; a year is
/// what people remember to plan for.
const VALID_DAYS: u32 = 365;

/// The platform's own certificate: short, because it is made anew whenever it is needed.
const ADMIN_VALID_DAYS: u32 = 1;

/// The platform's name among the clients of a cluster.
const ADMIN_NAME: &str = "penstock-control";

/// Credentials of one resource. Each is a row that is read whole with the list.
const MAX_CREDENTIALS: usize = 50;

/// Whether a credential is good for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialState {
    /// The brokers accept it until it expires.
    Active,
    /// It was taken back, alone or with its resource.
    Revoked,
}

/// A credential as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// Its name.
    pub name: String,
    /// Whether it is good for anything.
    pub state: CredentialState,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint_sha256: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// A credential with everything that a client needs.
#[derive(Debug)]
pub struct IssuedCredential {
    /// Which.
    pub credential: Credential,
    /// The certificate, PEM.
    pub cert_pem: String,
    /// Its private key, PKCS#8 PEM.
    pub key_pem: SecretString,
    /// The certificate of the authority that signed it, PEM.
    pub client_ca_pem: String,
    /// The certificate of the authority that signs the brokers' certificates, PEM; none until the brokers have one.
    pub cluster_ca_pem: Option<String>,
}

/// The platform's own certificates for the clusters that it has talked to lately.
#[derive(Default)]
pub(crate) struct AdminIdentities {
    by_cluster: Mutex<BTreeMap<ClusterId, AdminIdentity>>,
}

#[derive(Clone)]
pub(crate) struct AdminIdentity {
    pub(crate) cert_pem: String,
    pub(crate) key_pem: SecretString,
    renew_at: Timestamp,
}

/// Certificates kept at one time; beyond it all are forgotten, which costs a fraction of a millisecond each.
const MAX_ADMIN_IDENTITIES: usize = 1_000;

impl AdminIdentities {
    pub(crate) fn get(&self, cluster: ClusterId, now: Timestamp) -> Option<AdminIdentity> {
        let identities = self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        identities.get(&cluster).filter(|identity| now < identity.renew_at).cloned()
    }

    pub(crate) fn keep(&self, cluster: ClusterId, identity: AdminIdentity) {
        let mut identities = self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if identities.len() >= MAX_ADMIN_IDENTITIES {
            identities.clear();
        }
        identities.insert(cluster, identity);
    }
}

impl Control {
    /// The credentials of one of the caller's resources, oldest first.
    pub async fn credentials(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
    ) -> Result<Vec<Credential>, Problem> {
        let mut tx = self.begin().await?;
        let resource = resource::find(&mut tx, caller, reference).await?;
        let rows = store::credential::of_resource(&mut tx, resource.id).await?;
        Ok(rows.iter().map(view).collect())
    }

    /// Issues a credential. The brokers accept it at once: they know its authority already.
    pub async fn create_credential(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
        name: &str,
        idempotency_key: Option<&str>,
    ) -> Result<IssuedCredential, Problem> {
        name::check("name", name)?;
        let request = Request::new(idempotency_key, "create_credential", &(reference.to_string(), name))?;
        let mut tx = self.begin().await?;
        if let Some(id) = self.claim::<CredentialId>(&mut tx, caller, &request).await? {
            let resource = resource::find(&mut tx, caller, reference).await?;
            let rows = store::credential::of_resource(&mut tx, resource.id).await?;
            let row = rows.into_iter().find(|row| row.id == id);
            let row = row.ok_or_else(|| Problem::not_found("credential", id))?;
            return self.reveal(&mut tx, &resource, &row).await;
        }
        let now = self.now();
        let resource = resource::find_locked(&mut tx, caller, reference).await?;
        if resource.state == State::Deprovisioning {
            return Err(Problem::Gone { what: "resource", reference: reference.to_string() });
        }
        let present = store::credential::of_resource(&mut tx, resource.id).await?;
        let active = present.iter().filter(|row| row.revoked_at.is_none()).count();
        if active >= MAX_CREDENTIALS {
            return Err(Problem::LimitExceeded {
                limit: "max_credentials",
                allowed: i64::try_from(MAX_CREDENTIALS).unwrap_or(i64::MAX),
                asked: i64::try_from(active + 1).unwrap_or(i64::MAX),
                message: format!("{} has {active} credentials, the most that there can be", resource.name),
            });
        }
        let ca = self.clients_ca(&mut tx, resource.cluster).await?;
        let row = self.issue(&ca, resource.id, resource.cluster, name, now)?;
        store::credential::insert(&mut tx, &row).await.map_err(|error| match error {
            StoreError::Violates(Constraint::CredentialName) => {
                Problem::NameTaken { what: "credential", name: name.to_owned() }
            }
            other => other.into(),
        })?;
        let detail = json!({ "credential": row.id, "fingerprint_sha256": row.fingerprint });
        let entry = Entry::new("credential.create", name).on(&resource).detail(detail);
        self.audit_entry(&mut tx, caller, entry).await?;
        self.remember(&mut tx, caller, &request, &row.id).await?;
        let issued = self.reveal(&mut tx, &resource, &row).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// Takes a credential back. Its certificate stays valid in itself, so the brokers must be told to refuse it: that
    /// is a change of the cluster, which the resource's operation follows. The default credential is replaced in the
    /// same moment, and config vars show the new one. Asked again, nothing more happens.
    pub async fn revoke_credential(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
        id: CredentialId,
    ) -> Result<Credential, Problem> {
        let mut tx = self.begin().await?;
        let resource = resource::find_locked(&mut tx, caller, reference).await?;
        let mut rows = store::credential::of_resource(&mut tx, resource.id).await?;
        let row = rows.iter_mut().find(|row| row.id == id);
        let row = row.ok_or_else(|| Problem::not_found("credential", id))?;
        // What is being removed refuses everybody soon enough.
        if row.revoked_at.is_some() || resource.state == State::Deprovisioning {
            return Ok(view(row));
        }
        let now = self.now();
        store::credential::revoke(&mut tx, id, now).await?;
        row.revoked_at = Some(now);
        let revoked = view(row);
        if revoked.name == DEFAULT_NAME {
            let ca = self.clients_ca(&mut tx, resource.cluster).await?;
            let next = self.issue(&ca, resource.id, resource.cluster, DEFAULT_NAME, now)?;
            store::credential::insert(&mut tx, &next).await?;
        }
        let refused: Vec<String> = rows
            .iter()
            .filter(|row| row.revoked_at.is_some() && now < row.expires_at)
            .map(|row| row.fingerprint.clone())
            .collect();
        let current = store::cluster::newest_intent(&mut tx, resource.cluster)
            .await?
            .ok_or_else(|| Problem::Internal { detail: format!("{} has no intent", resource.cluster) })?;
        store::cluster::append_intent(&mut tx, &intent::revoking(current, &refused), now).await?;
        let resource = resource::find(&mut tx, caller, &ResourceRef::Id(resource.id)).await?;
        let operation = operation::begin(OperationId(self.draw_id(now)), Kind::Change, &resource, now);
        store::operation::insert(&mut tx, caller.account, &operation).await?;
        let detail = json!({ "credential": id, "fingerprint_sha256": revoked.fingerprint_sha256 });
        let entry = Entry::new("credential.revoke", &revoked.name).on(&resource).detail(detail);
        self.audit_entry(&mut tx, caller, entry).await?;
        store::wake::reconciler(&mut tx).await?;
        tx.commit().await?;
        Ok(revoked)
    }

    /// A stored credential with its key opened.
    pub(crate) async fn reveal(
        &self,
        tx: &mut store::Tx,
        resource: &crate::Resource,
        row: &store::credential::Credential,
    ) -> Result<IssuedCredential, Problem> {
        if row.revoked_at.is_some() {
            return Err(Problem::Gone { what: "credential", reference: row.name.clone() });
        }
        let ca = store::cluster::clients_ca(tx, resource.cluster)
            .await?
            .ok_or_else(|| Problem::Gone { what: "resource", reference: resource.name.clone() })?;
        Ok(IssuedCredential {
            credential: view(row),
            cert_pem: row.cert.clone(),
            key_pem: self.open_text(&credential_key_context(row.id), &row.sealed_key)?,
            client_ca_pem: ca.cert,
            cluster_ca_pem: resource.status.as_ref().and_then(|status| status.cluster_ca.clone()),
        })
    }

    /// Signs a client certificate and seals its key, ready to be stored.
    pub(crate) fn issue(
        &self,
        ca: &Ca,
        resource: ResourceId,
        cluster: ClusterId,
        name: &str,
        now: Timestamp,
    ) -> Result<store::credential::Credential, Problem> {
        let id = CredentialId(self.draw_id(now));
        // The principal is never given to anybody else, also when the name is free again.
        let digits = id.0.simple().to_string();
        let principal = format!("{name}-{}", &digits[digits.len() - 10..]);
        let identity =
            ca.issue_client(&principal, now, VALID_DAYS).map_err(|error| Problem::internal(&error))?;
        let Identity { cert_chain_pem, key_pem, expires_at } = identity;
        Ok(store::credential::Credential {
            id,
            resource,
            cluster,
            name: name.to_owned(),
            fingerprint: pki::fingerprint_sha256(&cert_chain_pem)
                .map_err(|error| Problem::internal(&error))?,
            sealed_key: self
                .inner
                .master_key
                .seal(&credential_key_context(id), key_pem.expose_secret().as_bytes()),
            cert: cert_chain_pem,
            created_at: now,
            expires_at,
            revoked_at: None,
        })
    }

    /// The platform's own certificate for a cluster.
    pub(crate) async fn admin_identity(
        &self,
        tx: &mut store::Tx,
        cluster: ClusterId,
    ) -> Result<AdminIdentity, Problem> {
        let now = self.now();
        if let Some(identity) = self.inner.admin_identities.get(cluster, now) {
            return Ok(identity);
        }
        let ca = self.clients_ca(tx, cluster).await?;
        let made =
            ca.issue_client(ADMIN_NAME, now, ADMIN_VALID_DAYS).map_err(|error| Problem::internal(&error))?;
        let identity = AdminIdentity {
            cert_pem: made.cert_chain_pem,
            key_pem: made.key_pem,
            renew_at: now.plus(made.expires_at.since(now) / 2),
        };
        self.inner.admin_identities.keep(cluster, identity.clone());
        Ok(identity)
    }

    async fn clients_ca(&self, tx: &mut store::Tx, cluster: ClusterId) -> Result<Ca, Problem> {
        let stored = store::cluster::clients_ca(tx, cluster)
            .await?
            .ok_or_else(|| Problem::Gone { what: "cluster", reference: cluster.to_string() })?;
        let key = self.open_text(&ca_key_context(cluster), &stored.sealed_key)?;
        Ca::from_pem(&stored.cert, key.expose_secret()).map_err(|error| Problem::internal(&error))
    }

    fn open_text(&self, context: &str, sealed: &[u8]) -> Result<SecretString, Problem> {
        let opened =
            self.inner.master_key.open(context, sealed).map_err(|error| Problem::internal(&error))?;
        let text = std::str::from_utf8(opened.expose_secret()).map_err(|error| Problem::internal(&error))?;
        Ok(text.to_owned().into())
    }
}

fn view(row: &store::credential::Credential) -> Credential {
    Credential {
        id: row.id,
        name: row.name.clone(),
        state: if row.revoked_at.is_some() { CredentialState::Revoked } else { CredentialState::Active },
        fingerprint_sha256: row.fingerprint.clone(),
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    }
}

/// Where the key of a cluster's clients' authority belongs; sealed bytes open nowhere else.
pub(crate) fn ca_key_context(cluster: ClusterId) -> String {
    format!("clusters.clients_ca_key/{cluster}")
}

fn credential_key_context(id: CredentialId) -> String {
    format!("credentials.key/{id}")
}
