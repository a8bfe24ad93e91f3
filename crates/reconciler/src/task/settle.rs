//! Bringing a cluster's resource and operations up to what is known of the cluster. Everything that follows from a
//! status happens here, in the one transaction that it is given: either all of it or nothing.

use agent::Dispatch;
use model::resource::State;
use model::{ClusterId, ResourceId};
use store::cluster::Tracked;
use store::outbox::Effect;
use store::{StoreError, Tx};

use crate::judge::{self, Facts};
use crate::leader::Leader;

impl<D: Dispatch> Leader<'_, D> {
    /// A transaction about one cluster. Use cases lock the resource before they write to its cluster; so must
    /// everything here, or the two wait for each other.
    pub(crate) async fn begin_on(&self, cluster: ClusterId) -> Result<Tx, StoreError> {
        let mut tx = self.begin().await?;
        if let Some(owner) = store::cluster::owner(&mut tx, cluster).await? {
            store::resource::lock(&mut tx, owner).await?;
        }
        Ok(tx)
    }

    /// Looks at everything known of a cluster and writes what follows from it, in a transaction of
    /// [`begin_on`](Self::begin_on).
    pub(crate) async fn settle(&self, tx: &mut Tx, cluster: ClusterId) -> Result<(), StoreError> {
        let Some(tracked) = store::cluster::tracked_locked(tx, cluster).await? else { return Ok(()) };
        let now = self.now();
        let facts = Facts {
            generation: tracked.generation,
            published: tracked.published,
            status: tracked.status.as_ref(),
            now,
        };
        for operation in store::operation::unfinished(tx, cluster).await? {
            let next = judge::operation(&operation, &facts);
            if next != operation {
                store::operation::update(tx, &next).await?;
            }
        }
        let Some((state, message)) = store::resource::state(tx, tracked.resource).await? else {
            return Ok(());
        };
        let (next, message) = judge::resource((state, &message), &facts);
        let changed = store::resource::set_state(tx, tracked.resource, next, &message, now).await?;
        if changed && next != state {
            self.reconciler.metrics.changed(next);
            tracing::info!(resource.id = %tracked.resource, cluster.id = %cluster, from = ?state, to = ?next, message, "a resource has changed its state");
        }
        if next == State::Gone && !tracked.removed {
            self.forget(tx, &tracked, tracked.resource).await?;
        }
        Ok(())
    }

    /// What must happen once a cluster is gone, and may not be forgotten.
    async fn forget(&self, tx: &mut Tx, tracked: &Tracked, resource: ResourceId) -> Result<(), StoreError> {
        let now = self.now();
        store::credential::revoke_all(tx, resource, now).await?;
        store::cluster::set_removed(tx, tracked.id, now).await?;
        store::outbox::push(tx, tracked.id, Effect::Withdraw, now).await?;
        store::wake::reconciler(tx).await
    }
}
