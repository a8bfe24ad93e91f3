//! Classic consumer groups as a state machine: inputs in, replies, records and a deadline out.
//!
//! Semantics are Kafka's, member by member and error by error. What one group knows is a [`Group`]; a [`Shard`] is all
//! groups of one partition of `__consumer_offsets` and the [`Machine`](super::machine::Machine) that the runtime
//! drives. Nothing here knows a socket, a clock, a lock or a version of the wire protocol: handlers translate.
//!
//! Where to read on, in the order of a member's life:
//! - `join.rs`: asking to be a member, static members, members that come back;
//! - `rebalance.rs`: waiting for everybody, choosing leader and protocol, the next generation;
//! - `sync.rs`: the leader's assignment, stored and handed out;
//! - `session.rs`: heartbeats, and what happens without them; `leave.rs`: saying goodbye;
//! - `commit.rs`: offsets: committing, fetching, deleting, expiring;
//! - `record.rs`: how all of it looks in the log; `stored.rs`: what happens when it is there; `restore.rs`: the way back.
//!
//! Invariants, which the simulation in `tests/` checks:
//! - every waiter is answered exactly once;
//! - a generation has one leader, one protocol that every member speaks, and its number never comes back;
//! - what a member is assigned was decided by the leader of the member's own generation;
//! - a [`Shard`] built from the records is the one that wrote them, as far as records speak.

mod ballot;
mod commit;
mod describe;
mod join;
mod leave;
mod member;
mod offsets;
mod rebalance;
mod record;
mod restore;
mod session;
mod shard;
mod stored;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use protocol::messages::leave_group::MemberResponse;
use protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use protocol::{ErrorCode, Str};

use super::machine::{self, Now};
use super::metrics::Metrics;
use crate::config::Groups as Settings;

pub use commit::{Commit, CommitEntry, Fetched, FetchedTopics};
pub use describe::TYPE_CLASSIC;
pub use join::Join;
pub use leave::Leaver;
pub use member::{Client, Offer};
pub use shard::{STATE_MAX_BYTES, Shard};
pub use stored::Ticket;
pub use sync::Sync;

use ballot::Ballot;
use member::Member;
use offsets::Offsets;

/// No generation: what a consumer that assigns itself partitions sends, and what refusals carry.
pub const NO_GENERATION: i32 = -1;

/// What a group costs besides its name, its members and its offsets: the structure, and its places in maps.
const GROUP_OVERHEAD_BYTES: usize = 800;

/// Protocol type of consumers, the only one whose metadata is looked into (for the topics it names).
const CONSUMER: &str = "consumer";

/// What a group is doing.
///
/// Kafka knows a fifth state, Dead; here a dead group is one that does not exist, and `describe.rs` says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No members. It may hold commits, and ids handed out to clients that have not come back with them yet.
    /// Left by the first member that joins.
    Empty,
    /// Members are called to join again. Left when all have joined or the time for that is over: to
    /// CompletingRebalance with the members that are there, to Empty if there are none.
    PreparingRebalance,
    /// All members know the new generation and wait for the leader's assignment. Left when that is stored (to Stable),
    /// or when somebody joins, leaves or is lost (to PreparingRebalance).
    CompletingRebalance,
    /// Every member can have its assignment. Left to PreparingRebalance when somebody joins, leaves or is lost.
    Stable,
}

impl State {
    /// Kafka's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// What those who wait for a group get.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To JoinGroup.
    Join(JoinGroupResponse),
    /// To SyncGroup.
    Sync(SyncGroupResponse),
    /// To LeaveGroup, member by member.
    Leave(Result<Vec<MemberResponse>, ErrorCode>),
    /// To OffsetCommit and OffsetDelete, partition by partition.
    Offsets(Result<Vec<ErrorCode>, ErrorCode>),
    /// To DeleteGroups, for one group.
    Deleted(ErrorCode),
}

/// What a group asks for.
pub type Effects = machine::Effects<Reply, Ticket>;

/// What every input is given besides itself.
pub(super) struct Step<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a Settings,
    pub(super) metrics: &'a Metrics,
    pub(super) out: &'a mut Effects,
}

/// Until when a group waits for members to join.
#[derive(Clone, Copy, Debug)]
enum JoinTimer {
    /// The first rebalance of an empty group: it waits in short steps as long as new members keep coming.
    Initial { at_ms: u64, step_ms: u64, left_ms: u64 },
    /// Any other: members have this long to come back.
    Rebalance { at_ms: u64 },
}

impl JoinTimer {
    fn at_ms(self) -> u64 {
        match self {
            JoinTimer::Initial { at_ms, .. } | JoinTimer::Rebalance { at_ms } => at_ms,
        }
    }
}

/// One group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    id: Str,
    state: State,
    /// The state before this one: only a rebalance that began from Empty is delayed.
    came_from: State,
    /// When it came into this state, by the wall clock. `None`: read from a record that does not say.
    changed_at_ms: Option<i64>,
    generation: i32,
    /// `None` until the first member joins: a group that only ever held commits.
    protocol_type: Option<Str>,
    /// The protocol of this generation.
    protocol: Option<Str>,
    leader: Option<Str>,
    members: BTreeMap<Str, Member>,
    /// Static members by the name that the client chose: the member id behind it changes with every restart.
    statics: BTreeMap<Str, Str>,
    /// Ids handed out to clients that have not come back with them yet (KIP-394), with the end of their time.
    promised: BTreeMap<Str, u64>,
    ballot: Ballot,
    /// How many members wait for the rebalance to complete.
    joined: usize,
    /// Whether somebody new joined since the initial delay was last looked at.
    is_growing: bool,
    /// Members that have not asked for their assignment in this generation.
    unsynced: BTreeSet<Str>,
    join_timer: Option<JoinTimer>,
    /// When members that have not synced are given up.
    sync_deadline_ms: Option<u64>,
    offsets: Offsets,
    /// Not later than anything here is due; `u64::MAX` if nothing ever is. Lowered at once when something is due
    /// earlier, raised only by [`Group::tick`], so that a heartbeat costs no search.
    wake_at_ms: u64,
    /// Whether the log has a record of it that a tombstone must undo.
    is_logged: bool,
    /// The log says something older than memory, because an append failed; upkeep writes it again.
    is_unsaved: bool,
    /// About how much memory the members take.
    member_bytes: usize,
}

impl Group {
    fn new(id: Str, now: Now) -> Group {
        Group {
            id,
            state: State::Empty,
            came_from: State::Empty,
            changed_at_ms: Some(now.wall_ms),
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            promised: BTreeMap::new(),
            ballot: Ballot::default(),
            joined: 0,
            is_growing: false,
            unsynced: BTreeSet::new(),
            join_timer: None,
            sync_deadline_ms: None,
            offsets: Offsets::default(),
            wake_at_ms: u64::MAX,
            is_logged: false,
            is_unsaved: false,
            member_bytes: 0,
        }
    }

    fn enter(&mut self, state: State, now: Now) {
        self.came_from = self.state;
        self.state = state;
        self.changed_at_ms = Some(now.wall_ms);
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader == member_id)
    }

    /// The longest time that any member asks to be waited for.
    fn rebalance_timeout_ms(&self) -> u64 {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
        u64::try_from(longest).unwrap_or(0)
    }

    /// Whether a request comes from who it says.
    fn check_member(&self, member_id: &str, instance_id: Option<&Str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.statics.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if current != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Something is due at `at_ms`.
    fn wake_by(&mut self, at_ms: u64) {
        self.wake_at_ms = self.wake_at_ms.min(at_ms);
    }

    /// Gives a member a whole session from now.
    fn renew_session(&mut self, member_id: &str, now: Now) {
        if let Some(member) = self.members.get_mut(member_id) {
            let session_ms = u64::try_from(member.session_timeout_ms).unwrap_or(0);
            let expires_at_ms = now.steady_ms.saturating_add(session_ms);
            member.expires_at_ms = expires_at_ms;
            self.wake_by(expires_at_ms);
        }
    }

    /// Takes a member out and answers whatever it waited for. What that means for the others is the caller's to say.
    fn remove_member(&mut self, member_id: &str, step: &mut Step<'_>) {
        if let Some(member) = self.members.remove(member_id) {
            self.ballot.remove(&member.offers);
            self.member_bytes -= member.bytes();
            step.metrics.members.dec();
            if let Some(instance_id) = &member.instance_id {
                self.statics.remove(instance_id);
            }
            if let Some(waiter) = member.join_waiter {
                self.joined -= 1;
                step.out.reply(waiter, join::refusal("", ErrorCode::UnknownMemberId));
            }
            if let Some(waiter) = member.sync_waiter {
                step.out.reply(waiter, sync::refusal(ErrorCode::UnknownMemberId));
            }
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.promised.remove(member_id);
        self.unsynced.remove(member_id);
    }

    /// Whether nothing would be lost if it were gone: no members, no ids handed out, no commits, nothing in the log.
    fn is_forgettable(&self) -> bool {
        self.state == State::Empty
            && self.members.is_empty()
            && self.promised.is_empty()
            && self.offsets.is_empty()
            && !self.is_logged
    }

    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        let promised = self.promised.len() * join::PROMISED_ID_BYTES;
        GROUP_OVERHEAD_BYTES + 2 * self.id.len() + promised + self.member_bytes + self.offsets.bytes()
    }
}
