//! Coordinators: state machines whose state lives in an internal topic. So far of one kind, consumer groups.
//!
//! - [`machine`] says what a coordinator is made of: inputs, replies, records, deadlines;
//! - [`runtime`] runs machines: locks, appends, waiting requests, the one timer, loading after a restart;
//! - [`group`] is the machine of classic consumer groups.
//!
//! [`Coordinator`] is what handlers see of it. A coordinator of another kind (transactions, share groups) will be
//! another machine on another [`InternalTopic`] under the same runtime.

mod batches;
pub mod group;
pub mod machine;
pub mod metrics;
pub mod runtime;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use protocol::messages::describe_groups::DescribedGroup;
use protocol::messages::leave_group::MemberResponse;
use protocol::messages::list_groups::ListedGroup;
use protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use protocol::{ErrorCode, Str};
use telemetry::Registry;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Groups;
use crate::internal_topic::InternalTopic;
use group::{Commit, Effects, Join, Leaver, Reply, Shard, Sync};
use machine::{Now, Waiter};
use metrics::Metrics;
use runtime::{Environment, Runtime};

/// All groups that this broker coordinates.
pub struct Coordinator {
    groups: Arc<Runtime<Shard>>,
}

impl Coordinator {
    /// A coordinator that knows nothing yet; [`Coordinator::run`] loads what the log holds. `registry` shows what it
    /// counts.
    #[must_use]
    pub fn new(settings: Groups, log: Arc<dyn InternalTopic>, registry: &Registry) -> Coordinator {
        let metrics = Metrics::new(registry);
        let environment = Environment {
            wall_ms: clock::now_ms,
            waiting: metrics.waiting.clone(),
            load_ms: metrics.load_ms.clone(),
            upkeep_every: Duration::from_millis(settings.offsets_retention_check_interval_ms),
        };
        let make = move || Shard::new(settings.clone(), metrics.clone());
        Coordinator { groups: Arc::new(Runtime::new(log, environment, make)) }
    }

    /// Loads the groups, then expires members and commits until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        Arc::clone(&self.groups).run(stop).await;
    }

    /// Makes the internal topic if this is the first time that anybody asks for a group.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE if the disk refuses.
    pub fn ensure(&self) -> Result<(), ErrorCode> {
        self.groups.ensure()
    }

    /// Forgets what was committed for a topic that is gone.
    pub fn topic_deleted(&self, topic: &str) {
        self.groups.step_each(|shard, _, out| shard.drop_topic(topic, out));
    }

    /// Joins, and waits for the rebalance.
    ///
    /// # Errors
    /// The coordinator's own; those of the group are in the response.
    pub async fn join(&self, join: Join, stop: &CancellationToken) -> Result<JoinGroupResponse, ErrorCode> {
        let group = join.group.clone();
        let act = |shard: &mut Shard, waiter, now, out: &mut Effects| shard.join(&join, waiter, now, out);
        match self.groups.ask(&group, stop, act).await? {
            Reply::Join(response) => Ok(response),
            other => Err(mismatch(&other)),
        }
    }

    /// Waits for the leader's assignment.
    ///
    /// # Errors
    /// The coordinator's own; those of the group are in the response.
    pub async fn sync(&self, sync: Sync, stop: &CancellationToken) -> Result<SyncGroupResponse, ErrorCode> {
        let group = sync.group.clone();
        let act = |shard: &mut Shard, waiter, now, out: &mut Effects| shard.sync(sync, waiter, now, out);
        match self.groups.ask(&group, stop, act).await? {
            Reply::Sync(response) => Ok(response),
            other => Err(mismatch(&other)),
        }
    }

    /// Notes that a member is alive.
    #[must_use]
    pub fn heartbeat(
        &self,
        group: &Str,
        member_id: &str,
        instance_id: Option<&Str>,
        generation: i32,
    ) -> ErrorCode {
        let act = |shard: &mut Shard, now, out: &mut Effects| {
            shard.heartbeat(group, member_id, instance_id, generation, now, out)
        };
        self.groups.step(group, act).unwrap_or_else(|code| code)
    }

    /// Takes members out.
    ///
    /// # Errors
    /// The coordinator's own, and those that concern the whole group.
    pub async fn leave(
        &self,
        group: &Str,
        leavers: &[Leaver],
        stop: &CancellationToken,
    ) -> Result<Vec<MemberResponse>, ErrorCode> {
        let act =
            |shard: &mut Shard, waiter, now, out: &mut Effects| shard.leave(group, leavers, waiter, now, out);
        match self.groups.ask(group, stop, act).await? {
            Reply::Leave(answers) => answers,
            other => Err(mismatch(&other)),
        }
    }

    /// Stores offsets; one code for each entry.
    ///
    /// # Errors
    /// What holds for all entries.
    pub async fn commit(
        &self,
        commit: Commit,
        stop: &CancellationToken,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let group = commit.group.clone();
        self.ask_about_offsets(&group, stop, |shard, waiter, now, out| shard.commit(commit, waiter, now, out))
            .await
    }

    /// Removes offsets; one code for each partition.
    ///
    /// # Errors
    /// What holds for all partitions.
    pub async fn delete_offsets(
        &self,
        group: &Str,
        partitions: Vec<(Str, i32)>,
        stop: &CancellationToken,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let act = |shard: &mut Shard, waiter, now, out: &mut Effects| {
            shard.delete_offsets(group, partitions, waiter, now, out);
        };
        self.ask_about_offsets(group, stop, act).await
    }

    async fn ask_about_offsets(
        &self,
        group: &Str,
        stop: &CancellationToken,
        act: impl FnOnce(&mut Shard, Waiter, Now, &mut Effects),
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        match self.groups.ask(group, stop, act).await? {
            Reply::Offsets(codes) => codes,
            other => Err(mismatch(&other)),
        }
    }

    /// Reads committed offsets: `look` is shown the groups among which this one is, if it exists.
    ///
    /// # Errors
    /// The coordinator's own.
    pub fn read<T>(&self, group: &str, look: impl FnOnce(&Shard) -> T) -> Result<T, ErrorCode> {
        self.groups.step(group, |shard, _, _| look(shard))
    }

    /// Deletes a group without members.
    pub async fn delete(&self, group: &Str, stop: &CancellationToken) -> ErrorCode {
        let act = |shard: &mut Shard, waiter, _, out: &mut Effects| shard.delete(group, waiter, out);
        match self.groups.ask(group, stop, act).await {
            Ok(Reply::Deleted(code)) | Err(code) => code,
            Ok(other) => mismatch(&other),
        }
    }

    /// All groups, sorted by name.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS while not all are known.
    pub fn list(&self) -> Result<Vec<ListedGroup>, ErrorCode> {
        let mut listed = Vec::new();
        self.groups.each(|shard| listed.extend(shard.list()))?;
        listed.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        Ok(listed)
    }

    /// One group.
    ///
    /// # Errors
    /// The coordinator's own.
    pub fn describe(&self, group: &Str, says_missing: bool) -> Result<DescribedGroup, ErrorCode> {
        self.groups.step(group, |shard, _, _| shard.describe(group, says_missing))
    }
}

/// A machine answered another question than the one that was asked: a bug of ours that one client sees.
fn mismatch(reply: &Reply) -> ErrorCode {
    tracing::error!(?reply, "a group answered another question than the one that was asked");
    ErrorCode::UnknownServerError
}
