//! Operations: how they begin, and reading them. How they go on is the reconciler's to say.

use model::operation::{Failure, Kind, Operation, State, Step};
use model::{OperationId, Timestamp};
use store::Tx;

use crate::caller::Caller;
use crate::page::{Page, Paged};
use crate::problem::Problem;
use crate::{Control, Resource, ResourceRef};

impl Control {
    /// One of the caller's operations.
    pub async fn operation(&self, caller: &Caller, id: OperationId) -> Result<Operation, Problem> {
        let mut tx = self.begin().await?;
        find(&mut tx, caller, id).await
    }

    /// The caller's operations, newest first; those of one resource if it is given, also after it is gone.
    pub async fn operations(
        &self,
        caller: &Caller,
        resource: Option<&ResourceRef>,
        page: Page,
    ) -> Result<Paged<Operation>, Problem> {
        let mut tx = self.begin().await?;
        let resource = match resource {
            None => None,
            Some(ResourceRef::Id(id)) => Some(
                store::resource::by_id(&mut tx, caller.account, *id)
                    .await?
                    .ok_or_else(|| Problem::not_found("resource", id))?
                    .id,
            ),
            Some(name) => Some(crate::resource::find(&mut tx, caller, name).await?.id),
        };
        let after = page.after.map(OperationId);
        let operations =
            store::operation::page(&mut tx, caller.account, resource, after, page.fetch()).await?;
        Ok(page.cut(operations, |operation| operation.id.0))
    }
}

pub(crate) async fn find(tx: &mut Tx, caller: &Caller, id: OperationId) -> Result<Operation, Problem> {
    store::operation::by_id(tx, caller.account, id).await?.ok_or_else(|| Problem::not_found("operation", id))
}

/// A new operation on a resource, about to reach the resource's newest generation.
pub(crate) fn begin(id: OperationId, kind: Kind, resource: &Resource, now: Timestamp) -> Operation {
    Operation {
        id,
        kind,
        resource: resource.id,
        resource_name: resource.name.clone(),
        cluster: resource.cluster,
        generation: resource.generation,
        state: State::Pending,
        steps: steps(kind),
        waiting: Vec::new(),
        failure: None,
        created_at: now,
        updated_at: now,
        finished_at: None,
    }
}

/// Ends the operations of a resource that a newer one makes pointless.
pub(crate) async fn overtake(
    tx: &mut Tx,
    resource: &Resource,
    by: Kind,
    now: Timestamp,
) -> Result<(), Problem> {
    for mut operation in store::operation::unfinished(tx, resource.cluster).await? {
        operation.state = State::Failed;
        operation.failure = Some(Failure {
            reason: "Overtaken".to_owned(),
            message: match by {
                Kind::Deprovision => "the resource was removed before this was finished".to_owned(),
                Kind::Provision | Kind::Change => "a later change came before this was finished".to_owned(),
            },
        });
        operation.waiting.clear();
        operation.updated_at = now;
        operation.finished_at = Some(now);
        for step in operation.steps.iter_mut().filter(|step| !step.state.is_final()) {
            step.state = State::Failed;
            step.finished_at = Some(now);
            step.message = "not finished".to_owned();
        }
        store::operation::update(tx, &operation).await?;
    }
    Ok(())
}

/// The steps of each kind of operation. The names are stable; the reconciler advances them by these names.
fn steps(kind: Kind) -> Vec<Step> {
    let named: &[(&str, &str)] = match kind {
        Kind::Provision => &[
            ("publish", "hand the cluster's intent to its agent"),
            ("brokers", "start the brokers and wait until they are ready"),
        ],
        Kind::Change => &[
            ("publish", "hand the cluster's new intent to its agent"),
            ("brokers", "bring the brokers to it, one after the other"),
        ],
        Kind::Deprovision => &[
            ("publish", "hand the removal to the cluster's agent"),
            ("remove", "stop the brokers and delete their data"),
        ],
    };
    named
        .iter()
        .map(|(name, message)| Step {
            name: (*name).to_owned(),
            state: State::Pending,
            message: (*message).to_owned(),
            started_at: None,
            finished_at: None,
        })
        .collect()
}
