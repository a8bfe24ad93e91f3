//! What the platform can do, one use case at a time.
//!
//! Every front (REST, Heroku's APIs, console) calls these methods and nothing else. A use case is one transaction with
//! its audit event in it; what must follow the commit is an intent that the reconciler publishes, a job, or a row of
//! the outbox. No network call happens inside a transaction.
//!
//! Rules that hold everywhere:
//! - what does not exist and what belongs to somebody else give the same [`Problem::NotFound`];
//! - a POST with an idempotency key happens once, and its repetition gets the same answer ([`idempotency`]);
//! - topics are the brokers' to know: they are read from the brokers, and changed by jobs that are tried at once and
//!   retried by the reconciler ([`topic`]);
//! - secrets are sealed before they reach the store and come out as `SecretString`.
//!
//! What it deliberately does not know: HTTP, how brokers are run, in which order a change is carried out.
//!
//! Start reading at [`provision`], which touches nearly everything, then [`destroy`] and [`topic`].

mod account;
mod app;
mod audit;
mod brokers;
mod caller;
mod cluster_info;
mod config_vars;
mod credential;
mod destroy;
mod idempotency;
mod intent;
mod kafka;
mod name;
mod operation;
mod page;
mod plan;
mod problem;
mod provision;
mod resource;
#[cfg(test)]
mod tests;
mod topic;

use std::sync::{Arc, Mutex};

use keyring::seal::MasterKey;
use model::{FeatureLevel, Release, Timestamp};
use store::{Store, Tx};
use uuid::{ContextV7, Uuid};

pub use account::{Account, IssuedToken};
pub use app::{App, Attachment, AttachmentFilter};
pub use audit::AuditEvent;
pub use brokers::{Access, Brokers, BrokersError, TopicSeen, TopicSpec};
pub use caller::{Caller, Origin};
pub use cluster_info::ClusterInfo;
pub use config_vars::ConfigVars;
pub use credential::{Credential, CredentialState, IssuedCredential};
pub use page::{MAX_PAGE, Page, Paged};
pub use problem::Problem;
pub use provision::{Accepted, CreateResource};
pub use resource::{Resource, ResourceRef};
pub use topic::{JobEnd, NewTopic, Retention, Topic, TopicChange, TopicState};

/// What an installation chooses.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the one region that this installation serves.
    pub region: String,
    /// The broker release that new clusters run.
    pub release: Release,
    /// The feature level of new clusters.
    pub feature_level: FeatureLevel,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    store: Store,
    master_key: MasterKey,
    brokers: Box<dyn Brokers>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Orders the ids that are made within one millisecond.
    ids: Mutex<ContextV7>,
    admin_identities: credential::AdminIdentities,
}

impl Control {
    /// The use cases over a database. `now` is the process's clock.
    pub fn new(
        settings: Settings,
        store: Store,
        master_key: MasterKey,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Control {
        Control::with_brokers(settings, store, master_key, kafka::OverKafka::default(), now)
    }

    /// The same with another way to reach brokers, for tests.
    pub fn with_brokers(
        settings: Settings,
        store: Store,
        master_key: MasterKey,
        brokers: impl Brokers + 'static,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Control {
        Control {
            inner: Arc::new(Inner {
                settings,
                store,
                master_key,
                brokers: Box::new(brokers),
                now: Box::new(now),
                ids: Mutex::new(ContextV7::new()),
                admin_identities: credential::AdminIdentities::default(),
            }),
        }
    }

    /// Brings the database up to date and puts plans into it that it has never seen. To be called, again and again
    /// while Postgres is away, before anything else.
    pub async fn prepare(&self) -> Result<(), Problem> {
        self.inner.store.migrate().await?;
        let mut tx = self.begin().await?;
        for (position, plan) in (0..).zip(model::plan::catalogue()) {
            store::plan::insert_missing(&mut tx, position, &plan).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Whether the database answers, for readiness.
    pub async fn reachable(&self) -> Result<(), Problem> {
        Ok(self.inner.store.ping().await?)
    }

    async fn begin(&self) -> Result<Tx, Problem> {
        Ok(self.inner.store.begin().await?)
    }

    fn now(&self) -> Timestamp {
        (self.inner.now)()
    }

    /// A new id: in the order of time, so that pages can go by it.
    fn draw_id(&self, now: Timestamp) -> Uuid {
        let milliseconds = u64::try_from(now.0).unwrap_or(0);
        let nanoseconds = u32::try_from(milliseconds % 1_000).unwrap_or(0) * 1_000_000;
        Uuid::new_v7(uuid::Timestamp::from_unix(&self.inner.ids, milliseconds / 1_000, nanoseconds))
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}
