//! Removal: an intent says that nothing is to be left; the agent does it; the reconciler notes that it is done.

use model::operation::Kind;
use model::resource::State;
use model::{Generation, OperationId};
use serde_json::json;
use store::{Constraint, StoreError};

use crate::audit::Entry;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::provision::Accepted;
use crate::{Control, ResourceRef, intent, operation, resource};

impl Control {
    /// Accepts the removal of a resource with all its data. Asked again while it is under way, it answers with the
    /// same operation. With `if_match`, only if that is the resource's generation.
    pub async fn destroy_resource(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
        if_match: Option<Generation>,
    ) -> Result<Accepted, Problem> {
        let mut tx = self.begin().await?;
        let mut resource = resource::find_locked(&mut tx, caller, reference).await?;
        if resource.state == State::Deprovisioning
            && let Some(id) = resource.operation
        {
            let operation = operation::find(&mut tx, caller, id).await?;
            return Ok(Accepted { operation, resource });
        }
        if let Some(expected) = if_match
            && expected != resource.generation
        {
            return Err(Problem::GenerationConflict { current: resource.generation });
        }

        let now = self.now();
        let current = store::cluster::newest_intent(&mut tx, resource.cluster)
            .await?
            .ok_or_else(|| Problem::Internal { detail: format!("{} has no intent", resource.cluster) })?;
        let removal = intent::removal(current);
        store::cluster::append_intent(&mut tx, &removal, now).await.map_err(|error| match error {
            StoreError::Violates(Constraint::IntentGeneration) => {
                Problem::GenerationConflict { current: removal.generation }
            }
            other => other.into(),
        })?;
        operation::overtake(&mut tx, &resource, Kind::Deprovision, now).await?;
        store::job::bury_all(&mut tx, resource.cluster, now, "the resource is being removed").await?;
        store::app::detach_all(&mut tx, resource.id).await?;
        let message = "its brokers are being stopped and its data deleted";
        store::resource::set_state(&mut tx, resource.id, State::Deprovisioning, message, now).await?;

        resource = resource::find(&mut tx, caller, &ResourceRef::Id(resource.id)).await?;
        let operation = operation::begin(OperationId(self.draw_id(now)), Kind::Deprovision, &resource, now);
        store::operation::insert(&mut tx, caller.account, &operation).await?;
        resource.operation = Some(operation.id);
        let detail = json!({ "operation": operation.id });
        let entry = Entry::new("resource.destroy", &resource.name).on(&resource).detail(detail);
        self.audit_entry(&mut tx, caller, entry).await?;
        store::wake::reconciler(&mut tx).await?;
        tx.commit().await?;
        Ok(Accepted { operation, resource })
    }
}
