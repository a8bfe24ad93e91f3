//! What happens when records are in the log, or could not be put there.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::messages::JoinGroupResponse;
use protocol::messages::leave_group::MemberResponse;
use protocol::{ErrorCode, Str};
use uuid::Uuid;

use super::member::Member;
use super::offsets::Committed;
use super::{Group, Reply, State, Step, join};
use crate::coordinator::machine::Waiter;

/// A static member as it was before it came back under another id.
#[derive(Debug)]
pub(super) struct Displaced {
    pub(super) member_id: Str,
    pub(super) member: Member,
}

/// What an append of group records is for; only groups look into it.
#[derive(Debug)]
pub struct Ticket(pub(super) Purpose);

impl From<Purpose> for Ticket {
    fn from(purpose: Purpose) -> Ticket {
        Ticket(purpose)
    }
}

#[derive(Debug)]
pub(super) enum Purpose {
    /// The leader's assignment.
    Assigned { group: Str, generation: i32, assignment: BTreeMap<Str, Bytes> },
    /// The last member is gone; perhaps it said goodbye and waits for the answer.
    Emptied { group: Str, leave: Option<(Waiter, Vec<MemberResponse>)> },
    /// A static member has a new id.
    Replaced { group: Str, new_id: Str, leader_before: Option<Str>, displaced: Box<Displaced>, skips: bool },
    /// Offsets to remember.
    Committed {
        group: Str,
        waiter: Waiter,
        codes: Vec<ErrorCode>,
        accepted: Vec<(Str, Uuid, i32, Committed)>,
    },
    /// Offsets to forget because a tool says so.
    OffsetsDeleted { group: Str, waiter: Waiter, codes: Vec<ErrorCode>, deleted: Vec<(Str, i32)> },
    /// Offsets to forget because they are old or their topic is gone.
    OffsetsDropped { group: Str, dropped: Vec<(Str, i32)> },
    /// The group goes; somebody may have asked for it.
    Deleted { group: Str, waiter: Option<Waiter> },
    /// A group that an earlier append left behind.
    Saved { group: Str },
}

impl Purpose {
    pub(super) fn replaced(group: &Group, new_id: Str, displaced: Displaced, skips: bool) -> Purpose {
        let leads = group.is_leader(&new_id);
        let leader_before = if leads { Some(displaced.member_id.clone()) } else { group.leader.clone() };
        Purpose::Replaced {
            group: group.id.clone(),
            new_id,
            leader_before,
            displaced: Box::new(displaced),
            skips,
        }
    }

    pub(super) fn group(&self) -> &Str {
        match self {
            Purpose::Assigned { group, .. }
            | Purpose::Emptied { group, .. }
            | Purpose::Replaced { group, .. }
            | Purpose::Committed { group, .. }
            | Purpose::OffsetsDeleted { group, .. }
            | Purpose::OffsetsDropped { group, .. }
            | Purpose::Deleted { group, .. }
            | Purpose::Saved { group } => group,
        }
    }
}

/// What a client is told when the log refused. Whatever the reason, this coordinator cannot do it now and the request
/// may be repeated; only what is too large will never fit.
fn told(code: ErrorCode, too_large: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => too_large,
        ErrorCode::UnknownServerError => code,
        _ => ErrorCode::CoordinatorNotAvailable,
    }
}

impl Group {
    /// Goes on after an append of this group; deletion is the shard's business.
    pub(super) fn stored(&mut self, purpose: Purpose, outcome: Result<(), ErrorCode>, step: &mut Step<'_>) {
        match purpose {
            Purpose::Assigned { generation, assignment, .. } => {
                self.is_logged |= outcome.is_ok();
                // A member may have come or gone since; then this assignment is nobody's any more.
                if self.state == State::CompletingRebalance && self.generation == generation {
                    match outcome {
                        Ok(()) => self.assign(assignment, step),
                        Err(code) => {
                            self.abandon_assignment(told(code, ErrorCode::UnknownServerError), step);
                            self.prepare_rebalance(step);
                        }
                    }
                }
            }
            Purpose::Emptied { leave, .. } => {
                self.note_saved(outcome);
                if let Some((waiter, members)) = leave {
                    let refused = |code| told(code, ErrorCode::UnknownServerError);
                    step.out.reply(waiter, Reply::Leave(outcome.map(|()| members).map_err(refused)));
                }
            }
            Purpose::Replaced { new_id, leader_before, displaced, skips, .. } => match outcome {
                Ok(()) => self.keep_replacement(&new_id, leader_before, skips, step),
                Err(code) => self.undo_replacement(&new_id, *displaced, code, step),
            },
            Purpose::Committed { waiter, mut codes, accepted, .. } => {
                match outcome {
                    Ok(()) => {
                        step.metrics.commits.inc_by(accepted.len() as u64);
                        for (topic, id, partition, committed) in &accepted {
                            self.offsets.put(topic, *id, *partition, committed);
                        }
                    }
                    Err(code) => {
                        let code = told(code, ErrorCode::InvalidCommitOffsetSize);
                        for slot in codes.iter_mut().filter(|slot| **slot == ErrorCode::None) {
                            *slot = code;
                        }
                    }
                }
                step.out.reply(waiter, Reply::Offsets(Ok(codes)));
            }
            Purpose::OffsetsDeleted { waiter, codes, deleted, .. } => {
                let reply = match outcome {
                    Ok(()) => {
                        self.forget_offsets(&deleted);
                        Ok(codes)
                    }
                    Err(code) => Err(told(code, ErrorCode::UnknownServerError)),
                };
                step.out.reply(waiter, Reply::Offsets(reply));
            }
            Purpose::OffsetsDropped { dropped, .. } => {
                if outcome.is_ok() {
                    self.forget_offsets(&dropped);
                }
            }
            Purpose::Saved { .. } => self.note_saved(outcome),
            Purpose::Deleted { .. } => {}
        }
    }

    fn note_saved(&mut self, outcome: Result<(), ErrorCode>) {
        self.is_logged |= outcome.is_ok();
        self.is_unsaved = outcome.is_err();
    }

    pub(super) fn forget_offsets(&mut self, partitions: &[(Str, i32)]) {
        for (topic, partition) in partitions {
            self.offsets.remove(topic, *partition);
        }
    }

    fn keep_replacement(
        &mut self,
        new_id: &Str,
        leader_before: Option<Str>,
        skips: bool,
        step: &mut Step<'_>,
    ) {
        self.is_logged = true;
        let Some(waiter) = self.take_join_waiter(new_id) else { return };
        let reply = if skips {
            // The leader learns who the members are, to watch their topics, and that it has nothing to assign.
            let is_leader = self.is_leader(new_id);
            match self.joined_reply(new_id) {
                Reply::Join(joined) => {
                    Reply::Join(JoinGroupResponse { skip_assignment: is_leader, ..joined })
                }
                other => other,
            }
        } else {
            // An older client that learns it leads would assign anew, for members that do not ask. So it is shown
            // the leader that was.
            Reply::Join(JoinGroupResponse {
                generation_id: self.generation,
                protocol_type: self.protocol_type.clone(),
                protocol_name: self.protocol.clone(),
                leader: leader_before.unwrap_or_default(),
                member_id: new_id.clone(),
                ..JoinGroupResponse::default()
            })
        };
        step.out.reply(waiter, reply);
    }

    fn undo_replacement(&mut self, new_id: &Str, displaced: Displaced, code: ErrorCode, step: &mut Step<'_>) {
        let waiter = self.take_join_waiter(new_id);
        if let Some(member) = self.members.remove(new_id) {
            self.ballot.remove(&member.offers);
            self.ballot.add(&displaced.member.offers);
            self.member_bytes -= member.bytes();
            self.member_bytes += displaced.member.bytes();
            self.rename(new_id, &displaced.member_id, displaced.member);
            self.renew_session(&displaced.member_id, step.now);
        }
        if let Some(waiter) = waiter {
            step.out.reply(waiter, join::refusal("", told(code, ErrorCode::UnknownServerError)));
        }
    }

    fn take_join_waiter(&mut self, member_id: &str) -> Option<Waiter> {
        let waiter = self.members.get_mut(member_id)?.join_waiter.take()?;
        self.joined -= 1;
        Some(waiter)
    }
}
