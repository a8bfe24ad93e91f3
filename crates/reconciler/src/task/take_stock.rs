//! Counts what is unfinished, for those who watch. Nothing is done about it here: the other tasks do.

use agent::Dispatch;
use store::StoreError;

use crate::leader::Leader;

impl<D: Dispatch> Leader<'_, D> {
    pub(crate) async fn take_stock(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let backlog = store::backlog::count(&mut tx).await?;
        drop(tx);
        self.reconciler.metrics.backlog(&backlog, self.now());
        Ok(())
    }
}
