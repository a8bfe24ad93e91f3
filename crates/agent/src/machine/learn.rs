//! Takes an observation into memory: which actions have had their effect, which brokers started and ended.

use std::time::Duration;

use model::observed::{BrokerSeen, Exit, Process, Readiness};
use model::{Action, BrokerId, ClusterIntent, Lifecycle, Observed, Timestamp};
use planner::Memory;
use planner::memory::{InFlight, Past, Target};

/// A broker that ran for at least this long did not end because of its start. Longer than any start of a broker that
/// has no logs to check, and short enough that one crash a few minutes after another is not held against it.
pub(super) const STEADY_AFTER: Duration = Duration::from_secs(60);

pub(super) fn learn(memory: &mut Memory, now: Timestamp, intent: &ClusterIntent, seen: &Observed) {
    if memory.seen_at.is_some_and(|newest| now < newest) {
        rebase(memory, now);
    }
    let stale = memory.seen_at.is_some_and(|newest| seen.at < newest);
    if !stale {
        memory.seen_at = Some(seen.at);
        for (id, sight) in seen.brokers.iter().filter(|(id, _)| !is_hidden(seen, **id)) {
            let underway = memory.in_flight.get(&Target::Broker(*id)).map(|in_flight| &in_flight.action);
            let asked = matches!(underway, Some(Action::Stop { .. } | Action::Restart { .. }))
                || matches!(intent.lifecycle, Lifecycle::Stop | Lifecycle::Remove);
            note(memory.brokers.entry(*id).or_default(), sight, asked, seen.at);
        }
    }
    memory.in_flight.retain(|target, in_flight| {
        let settled = !stale && is_settled(*target, in_flight, seen);
        // A look that is older than the action proves nothing about its effect, however long ago that was.
        let lost = !stale && in_flight.patience.is_over(now) && seen.at >= in_flight.patience.from;
        !settled && !lost
    });
}

/// The clock was set back. What was noted in the time that has not been would make every observation look old and
/// every pause last until that time comes round again.
fn rebase(memory: &mut Memory, now: Timestamp) {
    memory.seen_at = None;
    memory.holds.clear();
    for in_flight in memory.in_flight.values_mut() {
        in_flight.patience.from = in_flight.patience.from.min(now);
    }
}

fn is_hidden(seen: &Observed, id: BrokerId) -> bool {
    seen.gaps.iter().any(|gap| gap.broker.is_none_or(|broker| broker == id))
}

/// What there is to remember of one broker.
fn note(past: &mut Past, sight: &BrokerSeen, asked: bool, at: Timestamp) {
    match &sight.process {
        Process::Absent => {}
        Process::Running { incarnation, since } => {
            let is_news = past.incarnation.is_none();
            if past.incarnation.as_ref() != Some(incarnation) {
                started(past, incarnation, *since, sight, asked);
            }
            past.silent_since = match sight.readiness {
                Readiness::Unknown => past.silent_since.or(Some(at)),
                _ => None,
            };
            past.unreached_since = match sight.readiness {
                // One that we come upon (the agent was restarted) was waited for by whoever was here before.
                Readiness::Unreached { .. } => {
                    past.unreached_since.or(Some(if is_news { *since } else { at }))
                }
                _ => None,
            };
            if sight.readiness == Readiness::Ready {
                past.ready_at = Some(at);
            }
        }
        Process::Exited { incarnation, at: ended_at, exit } => {
            past.silent_since = None;
            if past.counted.as_ref() != Some(incarnation) {
                ended(past, incarnation, *ended_at, exit, asked, sight);
            }
        }
    }
}

fn started(past: &mut Past, incarnation: &str, since: Timestamp, sight: &BrokerSeen, asked: bool) {
    // The end of the start before may have passed unseen; then it counts as one that nobody asked for.
    let end_was_seen = past.counted == past.incarnation;
    let unasked = if end_was_seen { !past.asked } else { !asked };
    if past.incarnation.is_some() && unasked {
        past.restarts = past.restarts.saturating_add(1);
    }
    if past.made_from != sight.spec {
        past.quick_ends = 0;
    }
    past.incarnation = Some(incarnation.to_owned());
    past.started_at = Some(since);
    past.unreached_since = None;
    past.made_from.clone_from(&sight.spec);
}

fn ended(past: &mut Past, incarnation: &str, at: Timestamp, exit: &Exit, asked: bool, sight: &BrokerSeen) {
    // Without having seen it run nobody can say that it ran for long.
    let ran = match past.started_at {
        Some(started_at) if past.incarnation.as_deref() == Some(incarnation) => at.since(started_at),
        _ => Duration::ZERO,
    };
    past.asked = asked && !matches!(exit, Exit::BadConfiguration { .. } | Exit::LostDisk { .. });
    past.quick_ends = match past.asked {
        true => 0,
        false if ran >= STEADY_AFTER => 1,
        false => past.quick_ends.saturating_add(1),
    };
    past.incarnation = Some(incarnation.to_owned());
    past.counted = Some(incarnation.to_owned());
    past.made_from.clone_from(&sight.spec);
}

/// Whether an observation shows the effect of an action. What is hidden shows nothing.
fn is_settled(target: Target, in_flight: &InFlight, seen: &Observed) -> bool {
    let Target::Broker(id) = target else {
        return !seen.remains;
    };
    if is_hidden(seen, id) {
        return false;
    }
    let process = seen.brokers.get(&id).map(|sight| &sight.process);
    match &in_flight.action {
        Action::Start(_) => match process {
            Some(Process::Running { .. }) => true,
            // It started and has ended again.
            Some(Process::Exited { incarnation, .. }) => in_flight.before.as_ref() != Some(incarnation),
            Some(Process::Absent) | None => false,
        },
        Action::Restart { incarnation: old, .. } => match process {
            Some(Process::Running { incarnation, .. } | Process::Exited { incarnation, .. }) => {
                incarnation != old
            }
            Some(Process::Absent) | None => false,
        },
        Action::Stop { incarnation: old, .. } => {
            !matches!(process, Some(Process::Running { incarnation, .. }) if incarnation == old)
        }
        Action::RemoveBroker { .. } => process.is_none(),
        Action::RemoveRest => !seen.remains,
    }
}
