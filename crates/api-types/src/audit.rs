//! The audit trail: who changed what, when, from where, on which generation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One change that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct Event {
    /// Its id.
    pub id: Uuid,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who.
    pub actor: String,
    /// What, as a code.
    pub action: String,
    /// To what, by name.
    pub subject: String,
    /// Which resource it concerns.
    pub resource: Option<Uuid>,
    /// On which generation of its cluster.
    pub generation: Option<i64>,
    /// From which address.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// What else there is to know.
    pub detail: serde_json::Value,
}
