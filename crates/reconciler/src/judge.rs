//! What follows from what an agent says: pure.
//!
//! Two questions: in which state is the resource now, and how far are its operations? Both are answered from scratch
//! each time, from the newest intent's generation and the newest status, so that a missed status changes nothing.

use std::time::Duration;

use model::condition::{Kind as ConditionKind, Truth};
use model::operation::{Failure, Kind, Operation, State as OperationState, Step};
use model::resource::State;
use model::{ClusterStatus, Condition, Generation, Reason, Timestamp};

/// How long something that only a person can repair must have been so before an operation is given up. Agents look
/// again within a second or two; what they still say after this is not a passing state.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// How the message of a first step begins whose intent was not taken.
const HELD_UP: &str = "not yet: ";

/// What is known of a cluster when it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The newest intent.
    pub(crate) generation: Generation,
    /// The newest intent that the agent has taken.
    pub(crate) published: Option<Generation>,
    /// What the agent said last.
    pub(crate) status: Option<&'a ClusterStatus>,
    /// When this is.
    pub(crate) now: Timestamp,
}

impl<'a> Facts<'a> {
    /// The last status, if it speaks of this generation or a later one.
    fn status_of(&self, generation: Generation) -> Option<&'a ClusterStatus> {
        self.status.filter(|status| status.observed_generation >= generation)
    }

    /// Everything of the cluster is gone, as the newest intent wants it.
    pub(crate) fn removed(&self) -> bool {
        self.status_of(self.generation).is_some_and(|status| status.removed)
    }

    /// Why the newest intent cannot be reached without a person.
    fn hopeless(&self, generation: Generation) -> Option<&'a Condition> {
        let ready = self.status_of(generation)?.condition(ConditionKind::Ready)?;
        let stuck = ready.status == Truth::False
            && matches!(
                ready.reason,
                Reason::BadConfiguration | Reason::ReleaseMissing | Reason::StorageFailed
            )
            && self.now.since(ready.since) >= GIVE_UP_AFTER;
        stuck.then_some(ready)
    }
}

/// The state of a resource, and the sentence that explains it.
pub(crate) fn resource(current: (State, &str), facts: &Facts<'_>) -> (State, String) {
    let (state, message) = current;
    let stay = || (state, message.to_owned());
    match state {
        State::Gone => stay(),
        State::Deprovisioning if facts.removed() => (State::Gone, "everything of it is gone".to_owned()),
        State::Deprovisioning => {
            (state, facts.status_of(facts.generation).map_or_else(|| message.to_owned(), explanation))
        }
        State::Provisioning | State::Failed | State::Ready | State::Degraded => {
            let Some(status) = facts.status else { return stay() };
            match status.condition(ConditionKind::Ready) {
                Some(ready) if ready.status == Truth::True => match status.condition(ConditionKind::Degraded)
                {
                    Some(degraded) if degraded.status == Truth::True => {
                        (State::Degraded, degraded.message.clone())
                    }
                    _ => (State::Ready, ready.message.clone()),
                },
                Some(ready) if ready.status == Truth::False => {
                    let state = match state {
                        State::Provisioning | State::Failed if facts.hopeless(facts.generation).is_some() => {
                            State::Failed
                        }
                        State::Provisioning | State::Failed => State::Provisioning,
                        _ => State::Degraded,
                    };
                    (state, explanation(status))
                }
                // Not seen is not broken.
                _ => stay(),
            }
        }
    }
}

/// An operation brought up to what is known.
pub(crate) fn operation(operation: &Operation, facts: &Facts<'_>) -> Operation {
    let mut next = operation.clone();
    if next.state.is_final() {
        return next;
    }
    let status = facts.status_of(next.generation);
    // An agent's word of a generation may arrive before the note that it was handed over.
    let published = facts.published.is_some_and(|published| published >= next.generation);
    if !published && status.is_none() {
        return next;
    }
    let reached = match next.kind {
        Kind::Provision => status.is_some_and(|status| status.is_ready(next.generation)),
        Kind::Change => status.is_some_and(|status| status.has_reached(next.generation)),
        Kind::Deprovision => status.is_some_and(|status| status.removed),
    };
    next.state = OperationState::Running;
    next.waiting = status.map(|status| status.waiting.clone()).unwrap_or_default();
    if let [publish, work, ..] = next.steps.as_mut_slice() {
        enter(publish, OperationState::Succeeded, facts.now);
        if publish.message.starts_with(HELD_UP) {
            "the cluster's agent has it".clone_into(&mut publish.message);
        }
        enter(work, OperationState::Running, facts.now);
        if let Some(status) = status {
            work.message = explanation(status);
        }
    }
    if reached {
        finish(&mut next, OperationState::Succeeded, facts.now);
        next.waiting.clear();
    } else if let Some(stuck) = facts.hopeless(next.generation) {
        finish(&mut next, OperationState::Failed, facts.now);
        next.failure =
            Some(Failure { reason: format!("{:?}", stuck.reason), message: stuck.message.clone() });
    }
    if next != *operation {
        next.updated_at = facts.now;
    }
    next
}

/// An operation whose intent could not be handed over: its first step says why. Handing over ends that.
pub(crate) fn held_up(
    operation: &Operation,
    generation: Generation,
    reason: &str,
    now: Timestamp,
) -> Operation {
    let mut next = operation.clone();
    let waits = next.generation <= generation && next.state == OperationState::Pending;
    let message = format!("{HELD_UP}{reason}");
    if let (true, Some(publish)) = (waits, next.steps.first_mut())
        && publish.message != message
    {
        publish.message = message;
        next.updated_at = now;
    }
    next
}

/// What a person would notice of a status, in one line; a status with the same line is not worth keeping twice.
pub(crate) fn summary(status: &ClusterStatus) -> String {
    let mut parts: Vec<String> = status
        .conditions
        .iter()
        .map(|condition| format!("{:?}={:?} {:?}", condition.kind, condition.status, condition.reason))
        .collect();
    parts.extend(status.brokers.iter().map(|broker| format!("broker {}: {:?}", broker.id, broker.reason)));
    if status.removed {
        parts.push("removed".to_owned());
    }
    parts.join("; ")
}

/// Why a cluster is not where it should be: what it waits for, or else what its conditions say.
fn explanation(status: &ClusterStatus) -> String {
    let ready = status.condition(ConditionKind::Ready);
    let waiting = status.waiting.first().map(|waiting| waiting.message.as_str());
    match ready {
        Some(ready) if ready.status == Truth::True => ready.message.clone(),
        _ => {
            waiting.or(ready.map(|ready| ready.message.as_str())).unwrap_or("no reason was given").to_owned()
        }
    }
}

fn enter(step: &mut Step, state: OperationState, now: Timestamp) {
    if step.state.is_final() || step.state == state {
        return;
    }
    step.started_at.get_or_insert(now);
    if state.is_final() {
        step.finished_at = Some(now);
    }
    step.state = state;
}

fn finish(operation: &mut Operation, state: OperationState, now: Timestamp) {
    for step in &mut operation.steps {
        enter(step, state, now);
    }
    operation.state = state;
    operation.finished_at = Some(now);
}
