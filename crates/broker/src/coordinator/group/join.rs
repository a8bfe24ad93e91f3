//! JoinGroup: asking to be a member, or to stay one.

use bytes::Bytes;
use protocol::messages::JoinGroupResponse;
use protocol::messages::join_group::JoinGroupResponseMember;
use protocol::{ErrorCode, Str};
use uuid::Uuid;

use super::member::{Client, Member, Offer};
use super::stored::{Displaced, Purpose};
use super::{Group, NO_GENERATION, Reply, State, Step};
use crate::coordinator::machine::{Now, Waiter};

/// How long a member that is new may wait for its first generation.
///
/// It has no id yet, so it cannot send heartbeats, and its connection is not read while its JoinGroup waits: nobody
/// would notice that it is gone. Kafka's value; clients give up and ask again sooner.
const NEW_MEMBER_JOIN_TIMEOUT_MS: u64 = 5 * 60 * 1000;

/// How much of a client's name goes into a member id. Names are a few dozen bytes; the bound keeps the id within what
/// the wire can carry.
const NAME_IN_MEMBER_ID_MAX_BYTES: usize = 1024;

/// What an id costs that was handed out and not yet used, at most: the id and its place in a map.
pub(super) const PROMISED_ID_BYTES: usize = NAME_IN_MEMBER_ID_MAX_BYTES + 128;

/// A request to join.
#[derive(Clone, Debug)]
pub struct Join {
    /// The group.
    pub group: Str,
    /// Empty from a client that has no id yet.
    pub member_id: Str,
    /// From a static member: its name, which outlives its restarts.
    pub instance_id: Option<Str>,
    /// What kind of group it wants (`consumer`, `connect`).
    pub protocol_type: Str,
    /// What it can speak, in order of preference.
    pub offers: Vec<Offer>,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// How long it may take to come back when a rebalance begins.
    pub rebalance_timeout_ms: i32,
    /// Who asks.
    pub client: Client,
    /// The client understands that it must come back with the id that it is given (version 4 and later).
    pub takes_id_first: bool,
    /// The client understands that a leader may have nothing to assign (version 9 and later).
    pub may_skip_assignment: bool,
    /// Makes the member id unique if one is needed.
    pub fresh: Uuid,
}

impl Join {
    /// The same without a reference into the request's frame: what a group remembers lives longer than that.
    pub(super) fn detached(&self) -> Join {
        let offers = self.offers.iter().map(|offer| Offer {
            name: offer.name.detached(),
            metadata: Bytes::copy_from_slice(&offer.metadata),
        });
        Join {
            group: self.group.detached(),
            member_id: self.member_id.detached(),
            instance_id: self.instance_id.as_ref().map(Str::detached),
            protocol_type: self.protocol_type.detached(),
            offers: offers.collect(),
            client: Client { id: self.client.id.detached(), host: self.client.host.detached() },
            ..*self
        }
    }

    /// How much it makes a group remember, about.
    pub(super) fn bytes(&self) -> usize {
        let offers: usize = self.offers.iter().map(|offer| offer.name.len() + offer.metadata.len()).sum();
        offers + self.client.id.len() + self.group.len() + PROMISED_ID_BYTES
    }

    fn new_member_id(&self) -> Str {
        let name = self.instance_id.as_ref().unwrap_or(&self.client.id);
        let end = name.floor_char_boundary(NAME_IN_MEMBER_ID_MAX_BYTES);
        Str::from(format!("{}-{}", &name[..end], self.fresh))
    }
}

/// An answer that makes nobody a member.
pub(super) fn refusal(member_id: &str, code: ErrorCode) -> Reply {
    Reply::Join(JoinGroupResponse {
        error_code: code.into(),
        generation_id: NO_GENERATION,
        protocol_name: None,
        member_id: Str::from(member_id),
        ..JoinGroupResponse::default()
    })
}

impl Group {
    pub(super) fn join(&mut self, join: Join, waiter: Waiter, step: &mut Step<'_>) {
        if !self.has_room_for(&join.member_id, step.settings.max_size) {
            step.metrics.refuse("members");
            self.remove_member(&join.member_id, step);
            step.out.reply(waiter, refusal("", ErrorCode::GroupMaxSizeReached));
            self.finish_join_if_complete(step);
        } else if !self.can_speak_with(&join) {
            step.out.reply(waiter, refusal(&join.member_id, ErrorCode::InconsistentGroupProtocol));
        } else if join.member_id.is_empty() {
            self.join_without_id(join, waiter, step);
        } else if self.promised.contains_key(&join.member_id) && join.instance_id.is_none() {
            let member_id = join.member_id.clone();
            self.add_member(member_id, join, waiter, step);
        } else {
            self.join_again(join, waiter, step);
        }
    }

    /// While members come back, those who are first are in; at other times those who are members are.
    fn has_room_for(&self, member_id: &str, max_size: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                member.is_some_and(|member| member.join_waiter.is_some()) || self.joined < max_size
            }
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < max_size,
        }
    }

    /// An empty group speaks anything; others want one protocol that everybody speaks.
    fn can_speak_with(&self, join: &Join) -> bool {
        if self.state == State::Empty {
            return !join.protocol_type.is_empty() && !join.offers.is_empty();
        }
        self.protocol_type.as_ref() == Some(&join.protocol_type)
            && (self.members.is_empty() || self.ballot.has_common(&join.offers, self.members.len()))
    }

    fn join_without_id(&mut self, join: Join, waiter: Waiter, step: &mut Step<'_>) {
        let member_id = join.new_member_id();
        let taken = join.instance_id.as_ref().and_then(|instance_id| self.statics.get(instance_id)).cloned();
        if let Some(old_id) = taken {
            self.replace_static(&old_id, member_id, join, waiter, step);
        } else if join.takes_id_first && join.instance_id.is_none() {
            self.promise_id(member_id, &join, waiter, step);
        } else {
            self.add_member(member_id, join, waiter, step);
        }
    }

    /// Hands out an id and asks the client to come back with it, so that a client that gives up and tries again does
    /// not leave members behind whom everybody waits for.
    fn promise_id(&mut self, member_id: Str, join: &Join, waiter: Waiter, step: &mut Step<'_>) {
        if self.promised.len() >= step.settings.max_size {
            step.metrics.refuse("members");
            step.out.reply(waiter, refusal("", ErrorCode::GroupMaxSizeReached));
            return;
        }
        let session_ms = u64::try_from(join.session_timeout_ms).unwrap_or(0);
        let until_ms = step.now.steady_ms.saturating_add(session_ms);
        self.wake_by(until_ms);
        step.out.reply(waiter, refusal(&member_id, ErrorCode::MemberIdRequired));
        self.promised.insert(member_id, until_ms);
    }

    fn add_member(&mut self, member_id: Str, join: Join, waiter: Waiter, step: &mut Step<'_>) {
        let expires_at_ms = step.now.steady_ms.saturating_add(NEW_MEMBER_JOIN_TIMEOUT_MS);
        let member = Member {
            instance_id: join.instance_id,
            client: join.client,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            offers: join.offers,
            assignment: Bytes::new(),
            join_waiter: Some(waiter),
            sync_waiter: None,
            is_new: true,
            expires_at_ms,
        };
        if self.state == State::PreparingRebalance && self.came_from == State::Empty {
            self.is_growing = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type);
        }
        if self.leader.is_none() {
            self.leader = Some(member_id.clone());
        }
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), member_id.clone());
        }
        self.ballot.add(&member.offers);
        self.member_bytes += member.bytes();
        self.joined += 1;
        self.promised.remove(&member_id);
        step.metrics.members.inc();
        self.wake_by(expires_at_ms);
        self.members.insert(member_id, member);
        self.rebalance_or_finish(step);
    }

    /// A member that is known joins: it was called to a rebalance, wants one, or missed our last answer.
    fn join_again(&mut self, join: Join, waiter: Waiter, step: &mut Step<'_>) {
        let member_id = join.member_id.clone();
        if let Err(code) = self.check_member(&member_id, join.instance_id.as_ref()) {
            step.out.reply(waiter, refusal(&member_id, code));
            return;
        }
        let is_same = self.members.get(&member_id).is_some_and(|member| member.offers == join.offers);
        match self.state {
            State::Empty => step.out.reply(waiter, refusal(&member_id, ErrorCode::UnknownMemberId)),
            State::PreparingRebalance => {
                self.update_member(&member_id, join, waiter, step);
                self.rebalance_or_finish(step);
            }
            State::CompletingRebalance if is_same => {
                let reply = self.joined_reply(&member_id);
                step.out.reply(waiter, reply);
            }
            // The leader asks for a rebalance by joining: it has seen new partitions, say.
            State::Stable if is_same && !self.is_leader(&member_id) => {
                let reply = self.joined_reply(&member_id);
                step.out.reply(waiter, reply);
            }
            State::CompletingRebalance | State::Stable => {
                self.update_member(&member_id, join, waiter, step);
                self.rebalance_or_finish(step);
            }
        }
    }

    fn update_member(&mut self, member_id: &str, join: Join, waiter: Waiter, step: &mut Step<'_>) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        self.ballot.remove(&member.offers);
        self.ballot.add(&join.offers);
        self.member_bytes -= member.bytes();
        member.offers = join.offers;
        self.member_bytes += member.bytes();
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        member.session_timeout_ms = join.session_timeout_ms;
        match member.join_waiter.replace(waiter) {
            // The client gave up on its first request and repeats it.
            Some(first) => step.out.reply(first, refusal(member_id, ErrorCode::RebalanceInProgress)),
            None => self.joined += 1,
        }
    }

    /// A static member came back under a new id. The old one is fenced; if the group is at rest it stays so.
    fn replace_static(&mut self, old_id: &str, new_id: Str, join: Join, waiter: Waiter, step: &mut Step<'_>) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        if let Some(first) = member.join_waiter.take() {
            self.joined -= 1;
            step.out.reply(first, refusal(old_id, ErrorCode::FencedInstanceId));
        }
        if let Some(first) = member.sync_waiter.take() {
            step.out.reply(first, super::sync::refusal(ErrorCode::FencedInstanceId));
        }
        let displaced = Displaced { member_id: Str::from(old_id), member: member.clone() };
        self.member_bytes -= member.bytes();
        member.client = join.client.clone();
        member.is_new = false;
        self.member_bytes += member.bytes();
        self.rename(old_id, &new_id, member);
        self.renew_session(&new_id, step.now);
        let skips = join.may_skip_assignment;
        self.update_member(&new_id, join, waiter, step);
        match self.state {
            State::Stable if self.protocol == self.ballot.elect(self.members.values()) => {
                let records = self.record().map(|record| vec![record]);
                let purpose = Purpose::replaced(self, new_id, displaced, skips);
                step.out.append(records, purpose.into());
            }
            State::PreparingRebalance => self.finish_join_if_complete(step),
            // In CompletingRebalance the leader may be assigning to the old id at this moment.
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(step),
        }
    }

    /// Puts a member back under another id, in every place where the old one stood.
    pub(super) fn rename(&mut self, old_id: &str, new_id: &Str, member: Member) {
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if self.unsynced.remove(old_id) {
            self.unsynced.insert(new_id.clone());
        }
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), new_id.clone());
        }
        self.members.insert(new_id.clone(), member);
    }

    /// Tells a member about the present generation; the leader also learns who the others are.
    pub(super) fn joined_reply(&self, member_id: &Str) -> Reply {
        let members = if self.is_leader(member_id) { self.members_for_leader() } else { Vec::new() };
        Reply::Join(JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.clone(),
            members,
            ..JoinGroupResponse::default()
        })
    }

    pub(super) fn members_for_leader(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.clone().unwrap_or_default();
        let one = |(member_id, member): (&Str, &Member)| JoinGroupResponseMember {
            member_id: member_id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(&protocol).cloned().unwrap_or_default(),
        };
        self.members.iter().map(one).collect()
    }

    /// Whether the time of an id that was handed out is over.
    pub(super) fn drop_overdue_promises(&mut self, now: Now) {
        self.promised.retain(|_, until_ms| *until_ms > now.steady_ms);
    }
}
