//! Committing, fetching, deleting and expiring offsets.
//!
//! A commit is checked, put into the log, and only then remembered: a fetch never shows what a crash could take back.

use std::collections::BTreeSet;

use protocol::messages::ConsumerProtocolSubscription;
use protocol::{ErrorCode, Str};
use uuid::Uuid;

use super::offsets::Committed;
use super::stored::Purpose;
use super::{CONSUMER, Group, Reply, State, Step, record};
use crate::coordinator::machine::{Now, Waiter};

/// Offsets that one group may hold: as many as the broker's default bound on partitions. A group that reads every
/// partition of a full broker fits; one that commits to invented partitions is stopped earlier, by their not existing.
const GROUP_OFFSETS_MAX: usize = 200_000;

const MS_PER_MINUTE: i64 = 60_000;

/// A request to remember offsets.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The group.
    pub group: Str,
    /// Empty from a consumer that assigns itself partitions, and from tools.
    pub member_id: Str,
    /// The name of a static member.
    pub instance_id: Option<Str>,
    /// [`super::NO_GENERATION`] from a consumer that assigns itself partitions, and from tools.
    pub generation: i32,
    /// How long to keep these offsets, if the client says (versions 2 to 4).
    pub retention_ms: Option<i64>,
    /// The group may be created, and is refused as unknown rather than as out of date if it must not
    /// (version 9 and later).
    pub names_missing_group: bool,
    /// The offsets.
    pub entries: Vec<CommitEntry>,
}

/// One offset.
#[derive(Clone, Debug)]
pub struct CommitEntry {
    /// The topic's name.
    pub topic: Str,
    /// The topic's id now.
    pub topic_id: Uuid,
    /// The partition, which exists.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// The epoch of the last record read, -1 if unknown.
    pub leader_epoch: i32,
    /// Whatever the client wants to remember with it.
    pub metadata: Str,
}

/// An offset as a fetch shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The next offset to read, -1 if none was committed.
    pub offset: i64,
    /// The epoch of the last record read, -1 if unknown.
    pub leader_epoch: i32,
    /// What the client remembered with it.
    pub metadata: Str,
}

/// What a group has committed, topic by topic.
pub type FetchedTopics = Vec<(Str, Vec<(i32, Fetched)>)>;

impl Fetched {
    /// Nothing was committed.
    #[must_use]
    pub fn none() -> Fetched {
        Fetched { offset: -1, leader_epoch: -1, metadata: Str::default() }
    }
}

impl From<&Committed> for Fetched {
    fn from(committed: &Committed) -> Fetched {
        Fetched {
            offset: committed.offset,
            leader_epoch: committed.leader_epoch,
            metadata: committed.metadata.clone(),
        }
    }
}

impl Group {
    /// Whether this member may commit now.
    fn check_commit(&self, commit: &Commit) -> Result<(), ErrorCode> {
        let is_member =
            commit.generation >= 0 || !commit.member_id.is_empty() || commit.instance_id.is_some();
        if commit.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if !is_member {
            // Only members commit while there are members.
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_member(&commit.member_id, commit.instance_id.as_ref())?;
        if commit.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == State::CompletingRebalance {
            // It knows the generation and has no assignment in it: it must not commit for partitions of the last one.
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, commit: Commit, waiter: Waiter, step: &mut Step<'_>) {
        if let Err(code) = self.check_commit(&commit) {
            step.out.reply(waiter, Reply::Offsets(Err(code)));
            return;
        }
        if matches!(self.state, State::Stable | State::PreparingRebalance) {
            self.renew_session(&commit.member_id, step.now);
        }
        let expires_at_ms = commit.retention_ms.map(|ms| step.now.wall_ms.saturating_add(ms));
        let mut codes = Vec::with_capacity(commit.entries.len());
        let mut accepted = Vec::with_capacity(commit.entries.len());
        let mut room = GROUP_OFFSETS_MAX.saturating_sub(self.offsets.len());
        for entry in commit.entries {
            let is_new = self.offsets.get(&entry.topic, entry.partition).is_none();
            if entry.metadata.len() > step.settings.offset_metadata_max_bytes {
                codes.push(ErrorCode::OffsetMetadataTooLarge);
            } else if is_new && room == 0 {
                step.metrics.refuse("offsets");
                codes.push(ErrorCode::PolicyViolation);
            } else {
                room -= usize::from(is_new);
                codes.push(ErrorCode::None);
                let committed = Committed {
                    offset: entry.offset,
                    leader_epoch: entry.leader_epoch,
                    metadata: entry.metadata,
                    at_ms: step.now.wall_ms,
                    expires_at_ms,
                };
                accepted.push((entry.topic, entry.topic_id, entry.partition, committed));
            }
        }
        if accepted.is_empty() {
            step.out.reply(waiter, Reply::Offsets(Ok(codes)));
            return;
        }
        let records = accepted
            .iter()
            .map(|(topic, id, partition, committed)| {
                record::offset(&self.id, topic, *id, *partition, committed)
            })
            .collect();
        let purpose = Purpose::Committed { group: self.id.clone(), waiter, codes, accepted };
        step.out.append(records, purpose.into());
    }

    /// What is committed for a partition of the topic that has this id now (nil: not known). An offset of a topic that
    /// was deleted, and whose name is in use again, is no offset of the new one.
    pub(super) fn fetch(&self, topic: &str, topic_id: Uuid, partition: i32) -> Fetched {
        let committed = self.offsets.topic(topic).filter(|it| it.is_of(topic_id));
        committed.and_then(|it| it.partitions.get(&partition)).map_or_else(Fetched::none, Fetched::from)
    }

    /// What is committed at all.
    pub(super) fn fetch_all(&self) -> FetchedTopics {
        let topics = self.offsets.topics();
        topics
            .map(|(name, topic)| {
                let partitions =
                    topic.partitions.iter().map(|(partition, it)| (*partition, Fetched::from(it)));
                (name.clone(), partitions.collect())
            })
            .collect()
    }

    /// Forgets offsets that a tool names; not of topics that members read.
    pub(super) fn delete_offsets(
        &mut self,
        partitions: Vec<(Str, i32)>,
        waiter: Waiter,
        step: &mut Step<'_>,
    ) {
        let is_consumer = self.protocol_type.as_ref().is_some_and(|kind| *kind == CONSUMER);
        if self.state != State::Empty && !is_consumer {
            step.out.reply(waiter, Reply::Offsets(Err(ErrorCode::NonEmptyGroup)));
            return;
        }
        let topics = self.subscribed_topics();
        let codes: Vec<ErrorCode> = partitions
            .iter()
            .map(
                |(topic, _)| {
                    if topics.includes(topic) { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None }
                },
            )
            .collect();
        let deleted: Vec<(Str, i32)> = partitions
            .into_iter()
            .zip(&codes)
            .filter(|((topic, partition), code)| {
                **code == ErrorCode::None && self.offsets.get(topic, *partition).is_some()
            })
            .map(|(partition, _)| partition)
            .collect();
        if deleted.is_empty() {
            step.out.reply(waiter, Reply::Offsets(Ok(codes)));
            return;
        }
        let records = record::offset_tombstones(&self.id, &deleted);
        let purpose = Purpose::OffsetsDeleted { group: self.id.clone(), waiter, codes, deleted };
        step.out.append(records, purpose.into());
    }

    /// Which topics the members read, as far as it can be told.
    fn subscribed_topics(&self) -> Subscription {
        let is_consumer = self.protocol_type.as_ref().is_some_and(|kind| *kind == CONSUMER);
        if self.members.is_empty() || !is_consumer {
            return Subscription::None;
        }
        let Some(protocol) = &self.protocol else { return Subscription::Unknown };
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            match member.metadata(protocol).and_then(topics_of) {
                Some(named) => topics.extend(named),
                None => return Subscription::Unknown,
            }
        }
        Subscription::Topics(topics)
    }

    /// The offsets that have outlived their retention.
    pub(super) fn expired_offsets(&self, now: Now, retention_minutes: i64) -> Vec<(Str, i32)> {
        let retention_ms = retention_minutes.saturating_mul(MS_PER_MINUTE);
        // Since when nobody needs an offset: of a group that lost its members, since then; of one that never had any,
        // since the commit; of one that has members, since the commit if they do not read its topic.
        let unused_since = |committed: &Committed| match (&self.protocol_type, self.state) {
            (Some(_), State::Empty) => Some(self.changed_at_ms.unwrap_or(committed.at_ms)),
            (Some(kind), State::Stable) if *kind == CONSUMER => Some(committed.at_ms),
            (None, _) => Some(committed.at_ms),
            (Some(_), _) => None,
        };
        let is_expired = |committed: &Committed| match (unused_since(committed), committed.expires_at_ms) {
            (None, _) => false,
            (Some(_), Some(at_ms)) => now.wall_ms >= at_ms,
            (Some(since_ms), None) => now.wall_ms.saturating_sub(since_ms) >= retention_ms,
        };
        let old = self.offsets.partitions().filter(|(_, _, committed)| is_expired(committed));
        let mut old = old.peekable();
        if old.peek().is_none() {
            // Nearly always; then nobody need look into subscriptions.
            return Vec::new();
        }
        let topics = self.subscribed_topics();
        old.filter(|(topic, _, _)| !topics.includes(topic))
            .map(|(topic, at, _)| (topic.clone(), at))
            .collect()
    }
}

/// What a group's members read.
enum Subscription {
    /// Nothing, or nothing that we can look into.
    None,
    /// Members do not say it in a way that we understand: it may be anything.
    Unknown,
    Topics(BTreeSet<Str>),
}

impl Subscription {
    fn includes(&self, topic: &Str) -> bool {
        match self {
            Subscription::None => false,
            Subscription::Unknown => true,
            Subscription::Topics(topics) => topics.contains(topic),
        }
    }
}

/// The topics that a consumer's metadata names.
fn topics_of(metadata: &bytes::Bytes) -> Option<Vec<Str>> {
    let mut input = protocol::Decoder::new(metadata.clone());
    let version = input.i16().ok()?;
    // Later versions only add fields behind those that we know.
    let version = version.clamp(0, 3);
    ConsumerProtocolSubscription::decode(&mut input, version).ok().map(|subscription| subscription.topics)
}
