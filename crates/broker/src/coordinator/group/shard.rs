//! All groups of one partition of `__consumer_offsets`: finds the group, lets it act, keeps deadlines and bounds.

use std::collections::{BTreeMap, BTreeSet};

use protocol::messages::describe_groups::DescribedGroup;
use protocol::messages::leave_group::MemberResponse;
use protocol::messages::list_groups::ListedGroup;
use protocol::{ErrorCode, Str};
use uuid::Uuid;

use super::commit::{Commit, CommitEntry, Fetched, FetchedTopics};
use super::describe;
use super::join::{self, Join};
use super::leave::Leaver;
use super::offsets::OFFSET_OVERHEAD_BYTES;
use super::record::{self, Entry};
use super::stored::{Purpose, Ticket};
use super::sync::{self, Sync};
use super::{Effects, Group, NO_GENERATION, Reply, Settings, State, Step};
use crate::coordinator::machine::{Machine, Now, Record, Waiter};
use crate::coordinator::metrics::Metrics;

/// Memory that the state of all groups may take, about. A group of ten members that read a hundred partitions takes
/// some 20 KiB, so this is room for ten thousand of those, and small beside what the machine must have for the page
/// cache to be of use.
pub const STATE_MAX_BYTES: usize = 256 * 1024 * 1024;

/// What members of one group may make it remember. Its record has to fit into one batch of the log in the end, and no
/// assignor in use comes near this.
const GROUP_MEMBERS_MAX_BYTES: usize = 16 * 1024 * 1024;

/// How often in a row a group may find that something is due at once. A timeout of nothing makes one more round
/// necessary, never many; what is left after these waits for the next tick.
const DUE_ROUNDS_MAX: usize = 8;

/// The groups of one partition.
pub struct Shard {
    settings: Settings,
    metrics: Metrics,
    pub(super) groups: BTreeMap<Str, Group>,
    /// When groups want to be looked at; each at most once.
    deadlines: BTreeSet<(u64, Str)>,
    /// Whether its groups are in the gauges.
    is_counted: bool,
}

impl Drop for Shard {
    fn drop(&mut self) {
        if self.is_counted {
            self.groups.values().for_each(|group| uncount(group, &self.metrics));
        }
    }
}

fn uncount(group: &Group, metrics: &Metrics) {
    metrics.groups.dec();
    metrics.members.sub(group.members.len() as i64);
    metrics.offsets.sub(group.offsets.len() as i64);
    metrics.state_bytes.sub(group.bytes() as i64);
}

impl Shard {
    /// No groups.
    #[must_use]
    pub fn new(settings: Settings, metrics: Metrics) -> Shard {
        Shard { settings, metrics, groups: BTreeMap::new(), deadlines: BTreeSet::new(), is_counted: false }
    }

    /// JoinGroup. Answered when the rebalance completes, or at once if the client cannot join.
    pub fn join(&mut self, join: &Join, waiter: Waiter, now: Now, out: &mut Effects) {
        let refuse = |out: &mut Effects, code| out.reply(waiter, join::refusal(&join.member_id, code));
        let (least, most) = (self.settings.min_session_timeout_ms, self.settings.max_session_timeout_ms);
        if join.group.is_empty() {
            return refuse(out, ErrorCode::InvalidGroupId);
        }
        if !(least..=most).contains(&join.session_timeout_ms) {
            return refuse(out, ErrorCode::InvalidSessionTimeout);
        }
        let members_bytes = self.groups.get(&join.group).map_or(0, |group| group.member_bytes);
        let asked = join.bytes();
        if members_bytes + asked > GROUP_MEMBERS_MAX_BYTES {
            self.metrics.refuse("member_bytes");
            return refuse(out, ErrorCode::GroupMaxSizeReached);
        }
        if !self.has_room(asked) {
            return refuse(out, ErrorCode::PolicyViolation);
        }
        let join = join.detached();
        if !self.groups.contains_key(&join.group) {
            if !join.member_id.is_empty() {
                return refuse(out, ErrorCode::UnknownMemberId);
            }
            if !self.create(&join.group, now) {
                return refuse(out, ErrorCode::PolicyViolation);
            }
        }
        let id = join.group.clone();
        self.act(&id, now, out, |group, step| group.join(join, waiter, step));
    }

    /// SyncGroup. Answered when the leader's assignment is stored.
    pub fn sync(&mut self, sync: Sync, waiter: Waiter, now: Now, out: &mut Effects) {
        if sync.group.is_empty() {
            return out.reply(waiter, sync::refusal(ErrorCode::InvalidGroupId));
        }
        let asked: usize = sync.assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        if asked > GROUP_MEMBERS_MAX_BYTES || !self.has_room(asked) {
            self.metrics.refuse("member_bytes");
            return out.reply(waiter, sync::refusal(ErrorCode::PolicyViolation));
        }
        let id = sync.group.clone();
        if self.act(&id, now, out, |group, step| group.sync(sync, waiter, step)).is_none() {
            out.reply(waiter, sync::refusal(ErrorCode::UnknownMemberId));
        }
    }

    /// Heartbeat.
    pub fn heartbeat(
        &mut self,
        group: &Str,
        member_id: &str,
        instance_id: Option<&Str>,
        generation: i32,
        now: Now,
        out: &mut Effects,
    ) -> ErrorCode {
        if group.is_empty() {
            return ErrorCode::InvalidGroupId;
        }
        self.act(group, now, out, |group, step| group.heartbeat(member_id, instance_id, generation, step))
            .unwrap_or(ErrorCode::UnknownMemberId)
    }

    /// LeaveGroup. If the group is empty then, answered when the log says so too.
    pub fn leave(&mut self, group: &Str, leavers: &[Leaver], waiter: Waiter, now: Now, out: &mut Effects) {
        if group.is_empty() {
            return out.reply(waiter, Reply::Leave(Err(ErrorCode::InvalidGroupId)));
        }
        let answers: Vec<MemberResponse> =
            self.act(group, now, out, |group, step| group.leave(leavers, step)).unwrap_or_else(|| {
                leavers.iter().map(|leaver| leaver.answer(ErrorCode::UnknownMemberId)).collect()
            });
        match out.appends.last_mut().map(|append| &mut append.ticket.0) {
            Some(Purpose::Emptied { leave, .. }) => *leave = Some((waiter, answers)),
            _ => out.reply(waiter, Reply::Leave(Ok(answers))),
        }
    }

    /// OffsetCommit. Answered when the offsets are stored. A group that does not exist is made for a client that is
    /// no member of any.
    pub fn commit(&mut self, commit: Commit, waiter: Waiter, now: Now, out: &mut Effects) {
        let refuse = |out: &mut Effects, code| out.reply(waiter, Reply::Offsets(Err(code)));
        let per_entry = |entry: &CommitEntry| OFFSET_OVERHEAD_BYTES + entry.metadata.len();
        let asked: usize = commit.entries.iter().map(per_entry).sum();
        if !self.has_room(asked) {
            return refuse(out, ErrorCode::PolicyViolation);
        }
        let id = match self.groups.get_key_value(&commit.group) {
            Some((id, _)) => id.clone(),
            None if commit.generation > NO_GENERATION => {
                let is_named = commit.names_missing_group;
                let code = if is_named { ErrorCode::GroupIdNotFound } else { ErrorCode::IllegalGeneration };
                return refuse(out, code);
            }
            None => {
                let id = commit.group.detached();
                if !self.create(&id, now) {
                    return refuse(out, ErrorCode::PolicyViolation);
                }
                id
            }
        };
        self.act(&id, now, out, |group, step| group.commit(commit, waiter, step));
    }

    /// OffsetFetch for a named partition of the topic that has this id now (nil: not known). `None`: there is no such
    /// group.
    #[must_use]
    pub fn fetch(&self, group: &str, topic: &str, topic_id: Uuid, partition: i32) -> Option<Fetched> {
        self.groups.get(group).map(|group| group.fetch(topic, topic_id, partition))
    }

    /// OffsetFetch for everything. `None`: there is no such group.
    #[must_use]
    pub fn fetch_all(&self, group: &str) -> Option<FetchedTopics> {
        self.groups.get(group).map(Group::fetch_all)
    }

    /// Whether the group exists.
    #[must_use]
    pub fn contains(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// OffsetDelete, for partitions that exist. Answered when the offsets are gone from the log.
    pub fn delete_offsets(
        &mut self,
        group: &Str,
        partitions: Vec<(Str, i32)>,
        waiter: Waiter,
        now: Now,
        out: &mut Effects,
    ) {
        let done = self.act(group, now, out, |group, step| group.delete_offsets(partitions, waiter, step));
        if done.is_none() {
            out.reply(waiter, Reply::Offsets(Err(ErrorCode::GroupIdNotFound)));
        }
    }

    /// DeleteGroups, for one of them. Answered when it is gone from the log.
    pub fn delete(&mut self, group: &Str, waiter: Waiter, out: &mut Effects) {
        let refuse = |out: &mut Effects, code| out.reply(waiter, Reply::Deleted(code));
        match self.groups.get(group) {
            None => refuse(out, ErrorCode::GroupIdNotFound),
            Some(it) if it.state != State::Empty => refuse(out, ErrorCode::NonEmptyGroup),
            Some(it) => {
                let purpose = Purpose::Deleted { group: it.id.clone(), waiter: Some(waiter) };
                out.append(tombstones(it), purpose.into());
            }
        }
    }

    /// ListGroups.
    #[must_use]
    pub fn list(&self) -> Vec<ListedGroup> {
        self.groups.values().map(Group::listed).collect()
    }

    /// DescribeGroups, for one of them. `says_missing`: the client's version can say that there is no such group.
    #[must_use]
    pub fn describe(&self, group: &Str, says_missing: bool) -> DescribedGroup {
        self.groups.get(group).map_or_else(|| describe::missing(group, says_missing), Group::described)
    }

    /// The topic is gone: so are all offsets in it.
    pub fn drop_topic(&mut self, topic: &str, out: &mut Effects) {
        for (id, group) in &self.groups {
            if let Some(offsets) = group.offsets.topic(topic) {
                let topic = Str::from(topic);
                let dropped: Vec<_> = offsets.partitions.keys().map(|at| (topic.clone(), *at)).collect();
                let records = record::offset_tombstones(id, &dropped);
                out.append(records, Purpose::OffsetsDropped { group: id.clone(), dropped }.into());
            }
        }
    }

    /// What there is, for tests that look inside.
    #[cfg(test)]
    pub(super) fn groups_for_test(&self) -> &BTreeMap<Str, Group> {
        &self.groups
    }

    fn has_room(&self, asked: usize) -> bool {
        let held = usize::try_from(self.metrics.state_bytes.get()).unwrap_or(0);
        let has_room = held.saturating_add(asked) <= STATE_MAX_BYTES;
        if !has_room {
            self.metrics.refuse("state_bytes");
        }
        has_room
    }

    /// Makes a group; false if there are too many.
    fn create(&mut self, id: &Str, now: Now) -> bool {
        let groups = usize::try_from(self.metrics.groups.get()).unwrap_or(0);
        if groups >= self.settings.max_groups {
            self.metrics.refuse("groups");
            return false;
        }
        let group = Group::new(id.clone(), now);
        self.metrics.groups.inc();
        self.metrics.state_bytes.add(group.bytes() as i64);
        self.groups.insert(id.clone(), group);
        true
    }

    /// Lets a group act and does what follows from it. `None`: there is no such group.
    fn act<T>(
        &mut self,
        id: &str,
        now: Now,
        out: &mut Effects,
        action: impl FnOnce(&mut Group, &mut Step<'_>) -> T,
    ) -> Option<T> {
        let group = self.groups.get_mut(id)?;
        let (bytes, offsets, indexed_ms) = (group.bytes(), group.offsets.len(), group.wake_at_ms);
        let mut step = Step { now, settings: &self.settings, metrics: &self.metrics, out };
        let result = action(group, &mut step);
        for _ in 0..DUE_ROUNDS_MAX {
            if group.wake_at_ms > now.steady_ms {
                break;
            }
            group.tick(&mut step);
        }
        self.metrics.state_bytes.add(group.bytes() as i64 - bytes as i64);
        self.metrics.offsets.add(group.offsets.len() as i64 - offsets as i64);
        let wake_at_ms = group.wake_at_ms;
        if wake_at_ms != indexed_ms {
            let id = group.id.clone();
            self.deadlines.remove(&(indexed_ms, id.clone()));
            if wake_at_ms != u64::MAX {
                self.deadlines.insert((wake_at_ms, id));
            }
        }
        if group.is_forgettable() && !out.appends.iter().any(|append| append.ticket.0.group() == id) {
            self.forget(id);
        }
        Some(result)
    }

    fn forget(&mut self, id: &str) {
        if let Some(group) = self.groups.remove(id) {
            self.deadlines.remove(&(group.wake_at_ms, group.id.clone()));
            uncount(&group, &self.metrics);
        }
    }
}

/// Undoes everything that the log says of a group.
fn tombstones(group: &Group) -> Result<Vec<Record>, ErrorCode> {
    let offsets: Vec<(Str, i32)> =
        group.offsets.partitions().map(|(topic, partition, _)| (topic.clone(), partition)).collect();
    let mut records = record::offset_tombstones(&group.id, &offsets)?;
    if group.is_logged {
        records.push(record::group_tombstone(&group.id)?);
    }
    Ok(records)
}

impl Machine for Shard {
    type Reply = Reply;
    type Ticket = Ticket;

    fn replay(&mut self, record: Record) {
        match record::read(&record) {
            Ok(Entry::Group { group, value }) => self.replay_group(group.detached(), value),
            Ok(Entry::Offset { group, topic, partition, value }) => {
                self.replay_offset(&group, &topic, partition, value.as_ref());
            }
            Ok(Entry::Foreign) => self.metrics.unreadable_records.inc(),
            Err(error) => {
                self.metrics.unreadable_records.inc();
                tracing::warn!(%error, "a record of group state was skipped");
            }
        }
    }

    fn loaded(&mut self, now: Now) {
        self.is_counted = true;
        self.groups.retain(|_, group| !group.is_forgettable());
        for (id, group) in &mut self.groups {
            let members: Vec<Str> = group.members.keys().cloned().collect();
            for member_id in &members {
                group.renew_session(member_id, now);
            }
            if group.wake_at_ms != u64::MAX {
                self.deadlines.insert((group.wake_at_ms, id.clone()));
            }
            self.metrics.groups.inc();
            self.metrics.members.add(members.len() as i64);
            self.metrics.offsets.add(group.offsets.len() as i64);
            self.metrics.state_bytes.add(group.bytes() as i64);
        }
    }

    fn stored(&mut self, ticket: Ticket, outcome: Result<(), ErrorCode>, now: Now, out: &mut Effects) {
        if outcome.is_err() {
            self.metrics.failed_appends.inc();
        }
        if let Purpose::Deleted { group, waiter } = ticket.0 {
            if outcome.is_ok() && self.groups.get(&group).is_some_and(|group| group.state == State::Empty) {
                self.forget(&group);
            }
            if let Some(waiter) = waiter {
                let code = if outcome.is_ok() { ErrorCode::None } else { ErrorCode::CoordinatorNotAvailable };
                out.reply(waiter, Reply::Deleted(code));
            }
            return;
        }
        let id = ticket.0.group().clone();
        self.act(&id, now, out, |group, step| group.stored(ticket.0, outcome, step));
    }

    fn tick(&mut self, now: Now, out: &mut Effects) {
        let due: Vec<Str> = self
            .deadlines
            .iter()
            .take_while(|(at_ms, _)| *at_ms <= now.steady_ms)
            .map(|(_, id)| id.clone())
            .collect();
        for id in due {
            self.act(&id, now, out, |_, _| ());
        }
    }

    fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(at_ms, _)| *at_ms)
    }

    fn upkeep(&mut self, now: Now, out: &mut Effects) {
        for (id, group) in &self.groups {
            if group.is_unsaved {
                let records = group.record().map(|record| vec![record]);
                out.append(records, Purpose::Saved { group: id.clone() }.into());
                continue;
            }
            let dropped = group.expired_offsets(now, self.settings.offsets_retention_minutes);
            let is_rest_nothing = dropped.len() == group.offsets.len();
            if group.state == State::Empty && group.promised.is_empty() && is_rest_nothing {
                self.metrics.expired_offsets.inc_by(dropped.len() as u64);
                out.append(tombstones(group), Purpose::Deleted { group: id.clone(), waiter: None }.into());
            } else if !dropped.is_empty() {
                self.metrics.expired_offsets.inc_by(dropped.len() as u64);
                let records = record::offset_tombstones(id, &dropped);
                out.append(records, Purpose::OffsetsDropped { group: id.clone(), dropped }.into());
            }
        }
    }
}
