//! Heartbeats, and what happens when they stop.

use protocol::{ErrorCode, Str};

use super::{Group, State, Step};

impl Group {
    /// A member says that it is alive; the answer says whether it must join again.
    pub(super) fn heartbeat(
        &mut self,
        member_id: &str,
        instance_id: Option<&Str>,
        generation: i32,
        step: &Step<'_>,
    ) -> ErrorCode {
        if let Err(code) = self.check_member(member_id, instance_id) {
            return code;
        }
        if generation != self.generation {
            return ErrorCode::IllegalGeneration;
        }
        match self.state {
            State::Empty => ErrorCode::UnknownMemberId,
            State::PreparingRebalance => {
                self.renew_session(member_id, step.now);
                ErrorCode::RebalanceInProgress
            }
            State::CompletingRebalance | State::Stable => {
                self.renew_session(member_id, step.now);
                ErrorCode::None
            }
        }
    }

    /// Does whatever is due by now.
    pub(super) fn tick(&mut self, step: &mut Step<'_>) {
        let now_ms = step.now.steady_ms;
        let promised = self.promised.len();
        self.drop_overdue_promises(step.now);
        if self.promised.len() < promised {
            self.finish_join_if_complete(step);
        }
        let is_over =
            |member: &super::Member| member.expires_at_ms <= now_ms && !member.waits_for_the_group();
        let lost: Vec<Str> =
            self.members.iter().filter(|(_, member)| is_over(member)).map(|(id, _)| id.clone()).collect();
        for member_id in lost {
            self.lose_member(&member_id, step);
        }
        if self.join_timer.is_some_and(|timer| timer.at_ms() <= now_ms) {
            self.join_time_is_over(step);
        }
        if self.sync_deadline_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            self.sync_time_is_over(step);
        }
        self.wake_at_ms = self.next_due_ms();
    }

    fn lose_member(&mut self, member_id: &str, step: &mut Step<'_>) {
        // An earlier loss of the same moment may have completed a rebalance and given it a new session.
        let is_over = self.members.get(member_id).is_some_and(|member| {
            member.expires_at_ms <= step.now.steady_ms && !member.waits_for_the_group()
        });
        if is_over {
            step.metrics.expired_members.inc();
            tracing::debug!(group.id = %self.id, member.id = member_id, "a member was not heard of in time");
            self.remove_member(member_id, step);
            if self.state != State::Empty {
                self.rebalance_or_finish(step);
            }
        }
    }

    fn next_due_ms(&self) -> u64 {
        let sessions = self
            .members
            .values()
            .filter(|member| !member.waits_for_the_group())
            .map(|member| member.expires_at_ms);
        let timers = self.join_timer.map(super::JoinTimer::at_ms).into_iter().chain(self.sync_deadline_ms);
        sessions.chain(self.promised.values().copied()).chain(timers).min().unwrap_or(u64::MAX)
    }
}
