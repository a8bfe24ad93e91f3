//! The audit trail: who changed what, written in the transaction of the change.

use model::{AccountId, AuditEventId, Generation, ResourceId, Timestamp};
use serde_json::Value;

use crate::{StoreError, Tx};

/// One entry. Holds no secret: `detail` names what was asked for, never a key or a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: AuditEventId,
    /// In whose account.
    pub account: AccountId,
    /// When.
    pub at: Timestamp,
    /// Who: a token's label, or a part of the platform.
    pub actor: String,
    /// What, as a code: `resource.create`.
    pub action: String,
    /// On what, for people: a name.
    pub subject: String,
    /// On which resource.
    pub resource: Option<ResourceId>,
    /// Which generation it led to.
    pub generation: Option<Generation>,
    /// From which network address.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// More, as a document.
    pub detail: Value,
}

/// Adds an entry.
pub async fn insert(tx: &mut Tx, event: &Event) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into audit_events
             (id, account_id, at_ms, actor, action, subject, resource_id, generation, address, request_id, detail)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        event.id.0,
        event.account.0,
        event.at.0,
        event.actor,
        event.action,
        event.subject,
        event.resource.map(|id| id.0),
        event.generation.map(|generation| generation.0),
        event.address,
        event.request_id,
        event.detail
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An account's entries, newest first.
pub async fn page(
    tx: &mut Tx,
    account: AccountId,
    before: Option<AuditEventId>,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    let rows = sqlx::query!(
        "select id, account_id, at_ms, actor, action, subject, resource_id, generation, address, request_id, detail
         from audit_events
         where account_id = $1 and ($2::uuid is null or id < $2)
         order by id desc limit $3",
        account.0,
        before.map(|id| id.0),
        i64::from(limit)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Event {
            id: AuditEventId(row.id),
            account: AccountId(row.account_id),
            at: Timestamp(row.at_ms),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            resource: row.resource_id.map(ResourceId),
            generation: row.generation.map(Generation),
            address: row.address,
            request_id: row.request_id,
            detail: row.detail,
        })
        .collect())
}
