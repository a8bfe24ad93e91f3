//! LeaveGroup: members that say goodbye, and static members that an administrator removes by name.

use protocol::messages::leave_group::MemberResponse;
use protocol::{ErrorCode, Str};

use super::{Group, State, Step};

/// Who leaves.
#[derive(Clone, Debug, Default)]
pub struct Leaver {
    /// Empty if only the name of a static member is given.
    pub member_id: Str,
    /// The name of a static member.
    pub instance_id: Option<Str>,
}

impl Leaver {
    /// The answer for this member.
    pub(super) fn answer(&self, code: ErrorCode) -> MemberResponse {
        MemberResponse {
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id.clone(),
            error_code: code.into(),
        }
    }
}

impl Group {
    /// Removes all of them, then rebalances once.
    pub(super) fn leave(&mut self, leavers: &[Leaver], step: &mut Step<'_>) -> Vec<MemberResponse> {
        let members = self.members.len();
        let promised = self.promised.len();
        let mut answers = Vec::with_capacity(leavers.len());
        for leaver in leavers {
            let code = match self.leaving_id(leaver) {
                Ok(member_id) => {
                    self.remove_member(&member_id, step);
                    ErrorCode::None
                }
                Err(code) => code,
            };
            answers.push(leaver.answer(code));
        }
        if self.members.len() < members && self.state != State::Empty {
            self.rebalance_or_finish(step);
        } else if self.promised.len() < promised {
            self.finish_join_if_complete(step);
        }
        answers
    }

    fn leaving_id(&self, leaver: &Leaver) -> Result<Str, ErrorCode> {
        if leaver.member_id.is_empty() {
            let named = leaver.instance_id.as_ref().and_then(|instance_id| self.statics.get(instance_id));
            return named.cloned().ok_or(ErrorCode::UnknownMemberId);
        }
        if self.promised.contains_key(&leaver.member_id) {
            return Ok(leaver.member_id.clone());
        }
        self.check_member(&leaver.member_id, leaver.instance_id.as_ref())?;
        Ok(leaver.member_id.clone())
    }
}
