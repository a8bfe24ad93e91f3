//! SyncGroup: the leader's assignment goes into the log and then to every member.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::messages::SyncGroupResponse;
use protocol::{ErrorCode, Str};

use super::stored::Purpose;
use super::{Group, Reply, State, Step};
use crate::coordinator::machine::Waiter;

/// A request for one's assignment; from the leader, with everybody's.
#[derive(Clone, Debug)]
pub struct Sync {
    /// The group.
    pub group: Str,
    /// The generation that the member knows.
    pub generation: i32,
    /// Who asks.
    pub member_id: Str,
    /// Its name, if it is a static member.
    pub instance_id: Option<Str>,
    /// What it takes the group's protocol type to be, from version 5 on.
    pub protocol_type: Option<Str>,
    /// What it takes the elected protocol to be, from version 5 on.
    pub protocol: Option<Str>,
    /// Who gets what; only the leader's counts.
    pub assignments: Vec<(Str, Bytes)>,
}

/// An answer without an assignment.
pub(super) fn refusal(code: ErrorCode) -> Reply {
    Reply::Sync(SyncGroupResponse { error_code: code.into(), ..SyncGroupResponse::default() })
}

impl Group {
    pub(super) fn sync(&mut self, sync: Sync, waiter: Waiter, step: &mut Step<'_>) {
        if let Err(code) = self.check_sync(&sync) {
            step.out.reply(waiter, refusal(code));
            return;
        }
        match self.state {
            State::Empty => step.out.reply(waiter, refusal(ErrorCode::UnknownMemberId)),
            State::PreparingRebalance => step.out.reply(waiter, refusal(ErrorCode::RebalanceInProgress)),
            State::CompletingRebalance => self.await_assignment(sync, waiter, step),
            State::Stable => {
                self.has_synced(&sync.member_id);
                let reply = self.synced_reply(&sync.member_id);
                step.out.reply(waiter, reply);
            }
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ErrorCode> {
        self.check_member(&sync.member_id, sync.instance_id.as_ref())?;
        let differs = |theirs: &Option<Str>, ours: &Option<Str>| theirs.is_some() && theirs != ours;
        if sync.generation != self.generation {
            Err(ErrorCode::IllegalGeneration)
        } else if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol)
        {
            Err(ErrorCode::InconsistentGroupProtocol)
        } else {
            Ok(())
        }
    }

    fn await_assignment(&mut self, sync: Sync, waiter: Waiter, step: &mut Step<'_>) {
        self.has_synced(&sync.member_id);
        if let Some(member) = self.members.get_mut(&sync.member_id)
            && let Some(first) = member.sync_waiter.replace(waiter)
        {
            step.out.reply(first, refusal(ErrorCode::RebalanceInProgress));
        }
        if !self.is_leader(&sync.member_id) {
            return;
        }
        let named: BTreeMap<Str, Bytes> = sync.assignments.into_iter().collect();
        // Who is not named gets nothing, which is an assignment too. Who is named and no member is left out.
        let assignment: BTreeMap<Str, Bytes> = self
            .members
            .keys()
            .map(|id| {
                (id.clone(), named.get(id).map(|bytes| Bytes::copy_from_slice(bytes)).unwrap_or_default())
            })
            .collect();
        let records = self.record_with(&assignment).map(|record| vec![record]);
        let purpose = Purpose::Assigned { group: self.id.clone(), generation: self.generation, assignment };
        step.out.append(records, purpose.into());
    }

    fn has_synced(&mut self, member_id: &str) {
        self.unsynced.remove(member_id);
        if self.unsynced.is_empty() {
            self.sync_deadline_ms = None;
        }
    }

    fn synced_reply(&self, member_id: &str) -> Reply {
        let assignment = self.members.get(member_id).map(|member| member.assignment.clone());
        Reply::Sync(SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: assignment.unwrap_or_default(),
            ..SyncGroupResponse::default()
        })
    }

    /// The assignment is in the log: everybody who asked gets theirs, the others when they ask.
    pub(super) fn assign(&mut self, mut assignment: BTreeMap<Str, Bytes>, step: &mut Step<'_>) {
        self.set_assignments(|member_id| assignment.remove(member_id).unwrap_or_default());
        self.enter(State::Stable, step.now);
        for (member_id, waiter) in self.take_sync_waiters() {
            let reply = self.synced_reply(&member_id);
            step.out.reply(waiter, reply);
            self.renew_session(&member_id, step.now);
        }
    }

    /// There will be no assignment in this generation.
    pub(super) fn abandon_assignment(&mut self, code: ErrorCode, step: &mut Step<'_>) {
        self.set_assignments(|_| Bytes::new());
        for (member_id, waiter) in self.take_sync_waiters() {
            step.out.reply(waiter, refusal(code));
            self.renew_session(&member_id, step.now);
        }
    }

    fn set_assignments(&mut self, mut of: impl FnMut(&Str) -> Bytes) {
        for (member_id, member) in &mut self.members {
            self.member_bytes -= member.assignment.len();
            member.assignment = of(member_id);
            self.member_bytes += member.assignment.len();
        }
    }

    fn take_sync_waiters(&mut self) -> Vec<(Str, Waiter)> {
        let waiting =
            self.members.iter_mut().filter_map(|(id, member)| Some((id.clone(), member.sync_waiter.take()?)));
        waiting.collect()
    }

    /// The time for asking is over: who has not asked is gone, the others start again.
    pub(super) fn sync_time_is_over(&mut self, step: &mut Step<'_>) {
        self.sync_deadline_ms = None;
        let silent = std::mem::take(&mut self.unsynced);
        if silent.is_empty() || !matches!(self.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        for member_id in &silent {
            self.remove_member(member_id, step);
        }
        self.prepare_rebalance(step);
    }
}
