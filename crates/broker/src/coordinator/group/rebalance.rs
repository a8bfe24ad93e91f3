//! From one generation to the next: waiting for members, choosing leader and protocol.

use protocol::{ErrorCode, Str};

use super::stored::Purpose;
use super::{Group, JoinTimer, State, Step};

/// How long at least a group waits again when only silent static members are left. A client may ask to be waited for
/// no time at all; without a floor the group would look again and again until their sessions end.
const SILENT_GROUP_MIN_WAIT_MS: u64 = 1000;

/// How long at least the first members of a group are waited for, whatever the configuration says.
///
/// A program that starts several consumers has them ask within milliseconds of each other. We answer faster than that,
/// so that without this the first would always get everything and give it up again at once. A librdkafka whose own
/// threads are slower than our answers looks again after 50 ms, so twice that. Nobody notices the wait.
const GATHERING_MIN_MS: u64 = 100;

fn initial_step_ms(step: &Step<'_>) -> u64 {
    step.settings.initial_rebalance_delay_ms.max(GATHERING_MIN_MS)
}

impl Group {
    /// A member came, left or changed: begins a rebalance, or looks whether the one in progress is complete now.
    pub(super) fn rebalance_or_finish(&mut self, step: &mut Step<'_>) {
        if self.state == State::PreparingRebalance {
            self.finish_join_if_complete(step);
        } else {
            self.prepare_rebalance(step);
        }
    }

    /// Calls all members to join again.
    pub(super) fn prepare_rebalance(&mut self, step: &mut Step<'_>) {
        if self.state == State::CompletingRebalance {
            self.abandon_assignment(ErrorCode::RebalanceInProgress, step);
        }
        self.sync_deadline_ms = None;
        let is_first = self.state == State::Empty;
        tracing::debug!(
            group.id = %self.id,
            group.generation = self.generation,
            members = self.members.len(),
            "the members of a group are called to join again"
        );
        self.enter(State::PreparingRebalance, step.now);
        if is_first {
            let step_ms = initial_step_ms(step);
            let left_ms = self.rebalance_timeout_ms().saturating_sub(step_ms);
            let at_ms = step.now.steady_ms.saturating_add(step_ms);
            self.set_join_timer(JoinTimer::Initial { at_ms, step_ms, left_ms });
        } else if self.all_have_joined() {
            self.complete_join(step);
        } else {
            let at_ms = step.now.steady_ms.saturating_add(self.rebalance_timeout_ms());
            self.set_join_timer(JoinTimer::Rebalance { at_ms });
        }
    }

    /// Completes the rebalance if nobody is missing. A first rebalance waits its time in any case.
    pub(super) fn finish_join_if_complete(&mut self, step: &mut Step<'_>) {
        let is_rebalancing = self.state == State::PreparingRebalance && self.came_from != State::Empty;
        if is_rebalancing && self.all_have_joined() {
            self.complete_join(step);
        }
    }

    /// The time for joining is over, or one step of the initial delay is.
    pub(super) fn join_time_is_over(&mut self, step: &mut Step<'_>) {
        match self.join_timer {
            Some(JoinTimer::Initial { step_ms, left_ms, .. }) if self.is_growing && left_ms > 0 => {
                self.is_growing = false;
                let next_ms = initial_step_ms(step).min(left_ms);
                self.set_join_timer(JoinTimer::Initial {
                    at_ms: step.now.steady_ms.saturating_add(next_ms),
                    step_ms: next_ms,
                    left_ms: left_ms.saturating_sub(step_ms),
                });
            }
            Some(_) => self.complete_join(step),
            None => {}
        }
    }

    fn set_join_timer(&mut self, timer: JoinTimer) {
        self.join_timer = Some(timer);
        self.wake_by(timer.at_ms());
    }

    fn all_have_joined(&self) -> bool {
        self.joined == self.members.len() && self.promised.is_empty()
    }

    /// Goes on with those who are there.
    fn complete_join(&mut self, step: &mut Step<'_>) {
        self.join_timer = None;
        self.is_growing = false;
        // Static members may be absent until their session ends: that is what they are for.
        let is_late = |member: &super::Member| member.join_waiter.is_none() && member.instance_id.is_none();
        let late: Vec<Str> =
            self.members.iter().filter(|(_, member)| is_late(member)).map(|(id, _)| id.clone()).collect();
        for member_id in late {
            self.remove_member(&member_id, step);
        }
        if self.members.is_empty() {
            self.become_empty(step);
        } else if self.elect_leader() {
            self.begin_generation(step);
        } else {
            let wait_ms = self.rebalance_timeout_ms().max(SILENT_GROUP_MIN_WAIT_MS);
            let at_ms = step.now.steady_ms.saturating_add(wait_ms);
            self.set_join_timer(JoinTimer::Rebalance { at_ms });
        }
    }

    /// Keeps the leader if it has joined, else takes somebody who has. False if nobody has.
    fn elect_leader(&mut self) -> bool {
        let has_joined = |id: &Str| self.members.get(id).is_some_and(|member| member.join_waiter.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let someone = self.members.iter().find(|(_, member)| member.join_waiter.is_some());
        match someone.map(|(id, _)| id.clone()) {
            Some(id) => {
                self.leader = Some(id);
                true
            }
            None => false,
        }
    }

    fn next_generation(&mut self) {
        // After two thousand million rebalances numbers start again; a member of the first generation is long gone.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.unsynced.clear();
    }

    fn become_empty(&mut self, step: &mut Step<'_>) {
        self.next_generation();
        self.protocol = None;
        self.leader = None;
        self.enter(State::Empty, step.now);
        let records = self.record().map(|record| vec![record]);
        step.out.append(records, Purpose::Emptied { group: self.id.clone(), leave: None }.into());
    }

    fn begin_generation(&mut self, step: &mut Step<'_>) {
        self.next_generation();
        self.protocol = self.ballot.elect(self.members.values());
        self.enter(State::CompletingRebalance, step.now);
        step.metrics.rebalances.inc();
        tracing::debug!(
            group.id = %self.id,
            group.generation = self.generation,
            members = self.members.len(),
            "a group has gathered; its leader assigns"
        );
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for member_id in ids {
            let waiter = self.members.get_mut(&member_id).and_then(|member| {
                member.is_new = false;
                member.join_waiter.take()
            });
            if let Some(waiter) = waiter {
                let reply = self.joined_reply(&member_id);
                step.out.reply(waiter, reply);
            }
            self.renew_session(&member_id, step.now);
            self.unsynced.insert(member_id);
        }
        self.joined = 0;
        let until_ms = step.now.steady_ms.saturating_add(self.rebalance_timeout_ms());
        self.sync_deadline_ms = Some(until_ms);
        self.wake_by(until_ms);
    }
}
