//! Takes the end of an action into memory: what is waited for after a success, and how long a failure is left alone.

use std::time::Duration;

use model::{Action, Reason, Timestamp};
use planner::Memory;
use planner::backoff::doubled;
use planner::memory::{Hold, Span, Target};
use planner::verify::brief;

use crate::substrate::{Performed, SubstrateError};

/// What an action may take beyond the time that its performer is given, before it counts as lost.
pub(super) const MARGIN: Duration = Duration::from_secs(5);

/// How long the effect of an action that was carried out is waited for. Observations may lag behind, those of a cache
/// by seconds; afterwards the effect has been undone and it is decided afresh.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// Bounds of the pause after a failure that may pass by itself.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Bounds of the pause after a failure that somebody has to act upon. It is tried all the same, since nobody tells us
/// that a release was installed or a directory became writable; a try that fails costs next to nothing.
const FIRST_BLOCKED_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_BLOCKED_PAUSE: Duration = Duration::from_secs(60);

pub(super) fn finished(
    memory: &mut Memory,
    now: Timestamp,
    action: &Action,
    outcome: &Result<Performed, SubstrateError>,
) {
    let target = Target::of(action);
    // The outcome of an action that was given up as lost says nothing about the one that followed.
    let Some(in_flight) = memory.in_flight.get_mut(&target).filter(|in_flight| in_flight.action == *action)
    else {
        return;
    };
    match outcome {
        // Both are waited for: that there was nothing to do may be news that observations do not show yet.
        Ok(Performed::Done | Performed::Unneeded) => {
            in_flight.patience = Span { from: now, lasts: SEEN_WITHIN };
            memory.holds.remove(&target);
        }
        Err(error) => {
            memory.in_flight.remove(&target);
            let hold = hold(memory.holds.get(&target), now, action, error);
            memory.holds.insert(target, hold);
        }
    }
}

fn hold(before: Option<&Hold>, now: Timestamp, action: &Action, error: &SubstrateError) -> Hold {
    let spec = match action {
        Action::Start(spec) | Action::Restart { spec, .. } => Some(spec.fingerprint()),
        Action::Stop { .. } | Action::RemoveBroker { .. } | Action::RemoveRest => None,
    };
    let failures = before.filter(|hold| hold.spec == spec).map_or(0, |hold| hold.failures);
    let (reason, lasts) = match error {
        SubstrateError::Blocked { reason, .. } => {
            (*reason, doubled(FIRST_BLOCKED_PAUSE, failures, LONGEST_BLOCKED_PAUSE))
        }
        SubstrateError::Transient { .. } => {
            (reason_for(action), doubled(FIRST_PAUSE, failures, LONGEST_PAUSE))
        }
    };
    let message = match error {
        // Written for a person, and complete.
        SubstrateError::Blocked { message, .. } => message.clone(),
        SubstrateError::Transient { .. } => format!("could not {}: {}", brief(action), error.sentence()),
    };
    Hold { span: Span { from: now, lasts }, reason, message, failures: failures.saturating_add(1), spec }
}

/// What a failed action leaves undone.
fn reason_for(action: &Action) -> Reason {
    match action {
        Action::Start(_) => Reason::BrokerDown,
        Action::Restart { .. } => Reason::Restarting,
        Action::Stop { .. } => Reason::Stopped,
        Action::RemoveBroker { .. } | Action::RemoveRest => Reason::Removing,
    }
}
