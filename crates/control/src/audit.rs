//! The audit trail of an account.

use model::{AuditEventId, Generation, ResourceId, Timestamp};
use serde_json::{Value, json};
use store::Tx;

use crate::caller::{Caller, Origin};
use crate::page::{Page, Paged};
use crate::problem::Problem;
use crate::{Control, Resource};

/// One change that somebody made.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, as a code.
    pub action: String,
    /// On what, by name.
    pub subject: String,
    /// On which resource.
    pub resource: Option<ResourceId>,
    /// Which generation it led to.
    pub generation: Option<Generation>,
    /// From where.
    pub origin: Origin,
    /// More, as a document.
    pub detail: Value,
}

/// What a use case adds to the trail; who, when and from where come from the caller and the clock.
pub(crate) struct Entry<'a> {
    action: &'static str,
    subject: &'a str,
    resource: Option<ResourceId>,
    generation: Option<Generation>,
    detail: Value,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(action: &'static str, subject: &'a str) -> Entry<'a> {
        Entry { action, subject, resource: None, generation: None, detail: json!({}) }
    }

    pub(crate) fn on(self, resource: &Resource) -> Entry<'a> {
        self.on_resource(resource.id, resource.generation)
    }

    pub(crate) fn on_resource(self, resource: ResourceId, generation: Generation) -> Entry<'a> {
        Entry { resource: Some(resource), generation: Some(generation), ..self }
    }

    pub(crate) fn detail(self, detail: Value) -> Entry<'a> {
        Entry { detail, ..self }
    }
}

impl Control {
    /// What was changed in the caller's account, newest first.
    pub async fn audit(&self, caller: &Caller, page: Page) -> Result<Paged<AuditEvent>, Problem> {
        let mut tx = self.begin().await?;
        let after = page.after.map(AuditEventId);
        let events = store::audit::page(&mut tx, caller.account, after, page.fetch()).await?;
        let events = events.into_iter().map(|event| AuditEvent {
            id: event.id,
            at: event.at,
            actor: event.actor,
            action: event.action,
            subject: event.subject,
            resource: event.resource,
            generation: event.generation,
            origin: Origin { address: event.address, request_id: event.request_id },
            detail: event.detail,
        });
        Ok(page.cut(events.collect(), |event| event.id.0))
    }

    pub(crate) async fn audit_entry(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        entry: Entry<'_>,
    ) -> Result<(), Problem> {
        let now = self.now();
        let event = store::audit::Event {
            id: AuditEventId(self.draw_id(now)),
            account: caller.account,
            at: now,
            actor: caller.actor.clone(),
            action: entry.action.to_owned(),
            subject: entry.subject.to_owned(),
            resource: entry.resource,
            generation: entry.generation,
            address: caller.origin.address.clone(),
            request_id: caller.origin.request_id.clone(),
            detail: entry.detail,
        };
        Ok(store::audit::insert(tx, &event).await?)
    }
}
