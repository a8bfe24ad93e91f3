//! Client certificates that were handed out.

use model::{ClusterId, CredentialId, ResourceId, Timestamp};

use crate::{StoreError, Tx};

/// A client certificate with its sealed key.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// Whose it is.
    pub resource: ResourceId,
    /// For which cluster.
    pub cluster: ClusterId,
    /// Its name, unique among those of the resource that are not revoked.
    pub name: String,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
    /// The certificate, PEM.
    pub cert: String,
    /// Its private key, sealed.
    pub sealed_key: Vec<u8>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Stores a new credential. [`Constraint::CredentialName`](crate::Constraint::CredentialName) if the name is taken.
pub async fn insert(tx: &mut Tx, credential: &Credential) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into credentials
             (id, resource_id, cluster_id, name, fingerprint, cert, key, created_at_ms, expires_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        credential.id.0,
        credential.resource.0,
        credential.cluster.0,
        credential.name,
        credential.fingerprint,
        credential.cert,
        credential.sealed_key,
        credential.created_at.0,
        credential.expires_at.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The credentials of a resource, oldest first, revoked ones included.
pub async fn of_resource(tx: &mut Tx, resource: ResourceId) -> Result<Vec<Credential>, StoreError> {
    let rows = sqlx::query!(
        "select id, resource_id, cluster_id, name, fingerprint, cert, key, created_at_ms, expires_at_ms,
                revoked_at_ms
         from credentials where resource_id = $1 order by id",
        resource.0
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Credential {
            id: CredentialId(row.id),
            resource: ResourceId(row.resource_id),
            cluster: ClusterId(row.cluster_id),
            name: row.name,
            fingerprint: row.fingerprint,
            cert: row.cert,
            sealed_key: row.key,
            created_at: Timestamp(row.created_at_ms),
            expires_at: Timestamp(row.expires_at_ms),
            revoked_at: row.revoked_at_ms.map(Timestamp),
        })
        .collect())
}

/// Revokes one credential and forgets its key; says whether there was one to revoke.
pub async fn revoke(tx: &mut Tx, id: CredentialId, now: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update credentials set revoked_at_ms = $2, key = '' where id = $1 and revoked_at_ms is null",
        id.0,
        now.0
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Revokes every credential of a resource and forgets their keys.
pub async fn revoke_all(tx: &mut Tx, resource: ResourceId, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "update credentials set revoked_at_ms = $2, key = '' where resource_id = $1 and revoked_at_ms is null",
        resource.0,
        now.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
