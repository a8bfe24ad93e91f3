//! Lets whoever waits for a cluster read why its intent was not handed over yet.

use agent::Dispatch;
use model::ClusterIntent;
use model::resource::State;
use store::StoreError;

use crate::judge;
use crate::leader::Leader;

impl<D: Dispatch> Leader<'_, D> {
    /// Writes the reason onto the operations that wait for the intent, and onto a resource that nobody can use yet. Says
    /// whether it was news to this leader.
    pub(crate) async fn hold_up(&self, intent: &ClusterIntent, reason: &str) -> Result<bool, StoreError> {
        let cluster = intent.cluster;
        let told = (intent.generation, reason.to_owned());
        if self.complaints().insert(cluster, told.clone()) == Some(told) {
            return Ok(false);
        }
        let mut tx = self.begin_on(cluster).await?;
        for operation in store::operation::unfinished(&mut tx, cluster).await? {
            let next = judge::held_up(&operation, intent.generation, reason, self.now());
            if next != operation {
                store::operation::update(&mut tx, &next).await?;
            }
        }
        if let Some(resource) = store::cluster::owner(&mut tx, cluster).await?
            && let Some((state, _)) = store::resource::state(&mut tx, resource).await?
            && matches!(state, State::Provisioning | State::Deprovisioning)
        {
            store::resource::set_state(&mut tx, resource, state, reason, self.now()).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}
