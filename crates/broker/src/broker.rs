//! The state that all connections share.

use std::sync::Arc;

use protocol::Str;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Protocol};
use crate::coordinator::Coordinator;
use crate::fetch_sessions::FetchSessions;
use crate::internal_topic::OffsetsTopic;
use crate::limits::{AnswerBytes, RequestBytes};
use crate::metadata::Controller;
use crate::metrics::Metrics;
use crate::partition::Storage;
use crate::quota::Quotas;
use crate::topics::Topics;

/// Where a listener really is, and what clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Which listener.
    pub protocol: Protocol,
    /// Name or address for clients.
    pub host: Str,
    /// Port for clients.
    pub port: u16,
    /// Address that is bound; in brackets if IPv6.
    pub bound_host: String,
    /// Port that is bound.
    pub bound_port: u16,
}

/// Everything a request may touch. Cheap to share, and no part of it needs a lock across an await.
pub struct Broker {
    /// What the process was told to be.
    pub config: Config,
    /// What exists.
    pub topics: Arc<Topics>,
    /// Changes what exists.
    pub controller: Arc<Controller>,
    /// Group state.
    pub coordinator: Arc<Coordinator>,
    /// Where group state is kept.
    pub offsets_topic: Arc<OffsetsTopic>,
    /// Fetch sessions.
    pub fetch_sessions: FetchSessions,
    /// The data directory.
    pub storage: Arc<Storage>,
    /// Who may use how much.
    pub quotas: Quotas,
    /// The budget of unanswered bytes.
    pub request_bytes: Arc<RequestBytes>,
    /// What answers that are being written may hold.
    pub answer_bytes: AnswerBytes,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What clients are told to connect to.
    pub endpoints: Vec<Endpoint>,
    /// Cancelled when the disk failed for good.
    pub failed: CancellationToken,
}

impl Broker {
    /// What clients of this listener are told to connect to.
    #[must_use]
    pub fn endpoint(&self, protocol: Protocol) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.protocol == protocol)
    }

    /// Closes every log, writes checkpoints and the mark of an orderly stop. `false` if the next start has to check.
    pub(crate) fn close(&self) -> bool {
        self.storage.checkpoint_together(&self.topics);
        let mut whole = true;
        for topic in self.topics.all() {
            for partition in topic.partitions().iter() {
                whole &= partition.close();
            }
        }
        whole &= self.storage.write_checkpoints(&self.topics);
        self.storage.stop_flushing();
        whole && self.storage.mark_clean()
    }
}
