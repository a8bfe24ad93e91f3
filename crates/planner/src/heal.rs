//! Starts what is not there and what has ended, and says what a running broker is waited for.
//!
//! It never ends anything: a broker that runs but does not serve is reported, not killed. Whoever kills it may hit one
//! that is about to finish an hour of work.

use std::time::Duration;

use model::observed::Exit;
use model::{Action, Reason, Timestamp};

use crate::backoff::doubled;
use crate::cluster::{Draft, Scene, Wait};
use crate::memory::{Past, Span};
use crate::stand::{Broker, Stand};
use crate::{reach, report};

/// Ends in a row after which it is called a crash loop. Two can be one cause (a machine that stumbles, a person who
/// tries something out); three are a pattern.
pub(crate) const CRASH_LOOP_ENDS: u32 = 3;

/// The pause before the second start in a row. The first is made at once: most crashes are single events, and every
/// millisecond of it is a client that waits.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause between two starts of a broker that crashes. Short enough that a broker whose cause went away is
/// back within a minute, long enough that a thousand crash loops on one machine start only some twenty processes a
/// second.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Bounds of the pause when a broker itself said that trying again is useless (configuration, disk). It is still
/// tried, since a port becomes free and a disk comes back without anybody telling us.
const FIRST_USELESS_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_USELESS_PAUSE: Duration = Duration::from_secs(300);

/// Cares for one broker that is wanted.
pub(crate) fn heal(scene: &Scene<'_>, broker: &Broker<'_>, draft: &mut Draft) {
    let Some(spec) = &broker.spec else { return };
    let id = broker.id;
    let past = scene.memory.brokers.get(&id).cloned().unwrap_or_default();
    match &broker.stand {
        Stand::Ready { .. } => {}
        Stand::Missing => {
            let wait = Wait::new(Reason::Creating, format!("broker {id} is being created"));
            draft.act(scene, Action::Start(spec.clone()), wait);
        }
        Stand::Ended { at, exit, .. } => {
            let pause = Span { from: *at, lasts: pause(exit, &past) };
            // What was made from another specification ended for reasons that may be gone with it.
            if broker.outdated || pause.is_over(scene.now) {
                draft.act(scene, Action::Start(spec.clone()), ended(broker, exit, &past, None));
            } else {
                draft.wakes.push(pause.end());
                draft.wait(Some(id), ended(broker, exit, &past, Some(pause.end())));
            }
        }
        Stand::Hidden { .. }
        | Stand::NotReady { .. }
        | Stand::Unreached { .. }
        | Stand::Recovering { .. }
        | Stand::Held { .. }
        | Stand::Silent { .. } => {
            unserving(scene, broker, draft);
        }
    }
}

/// States what a broker is waited for that runs without serving, or that could not be seen.
pub(crate) fn unserving(scene: &Scene<'_>, broker: &Broker<'_>, draft: &mut Draft) {
    let id = broker.id;
    match &broker.stand {
        Stand::Hidden { what } => {
            draft.wait(Some(id), Wait::new(Reason::Unreachable, hidden(broker, what)));
            draft.wakes.push(scene.now.plus(Duration::from_secs(1)));
        }
        Stand::NotReady { since, why, .. } => {
            draft
                .wait(Some(id), Wait::new(Reason::BrokerStarting, format!("broker {id} is starting: {why}")));
            draft.wakes.push(scene.soon(*since));
        }
        Stand::Unreached { since, refused, .. } => {
            let address = broker.address();
            let how = if *refused { "refuses connections" } else { "does not answer" };
            let message = format!(
                "broker {id} serves, and {address}, to which clients are sent, still {how}; that is waited for until {}",
                since.plus(reach::PATIENCE)
            );
            draft.wait(Some(id), Wait::new(Reason::BrokerStarting, message));
            draft.wakes.push(scene.soon(*since));
        }
        Stand::Held { since, reason, why, .. } => {
            let stuck = report::needs_a_person(*reason);
            let message = format!("broker {id} cannot start: {why}");
            draft.wait(Some(id), Wait { reason: *reason, message, stuck });
            draft.wakes.push(scene.soon(*since));
        }
        Stand::Recovering { since, done, total, .. } => {
            let message = format!(
                "broker {id} checks its logs after an unclean stop, {done} of {total} done; it is left alone until then"
            );
            draft.wait(Some(id), Wait::new(Reason::BrokerRecovering, message));
            draft.wakes.push(scene.soon(*since));
        }
        Stand::Silent { since, .. } => {
            let past = scene.memory.brokers.get(&id);
            let silent_since = past.and_then(|past| past.silent_since).unwrap_or(scene.now);
            let message = format!(
                "broker {id} runs but has not said what it does since {silent_since}; it is left alone, since it may \
                 be at work"
            );
            draft.wait(Some(id), Wait::new(Reason::Unreachable, message));
            // Since the younger of the two: a broker that answered until now is asked again soon.
            draft.wakes.push(scene.soon((*since).max(silent_since)));
        }
        Stand::Missing | Stand::Ended { .. } | Stand::Ready { .. } => {}
    }
}

/// The sentence for a broker of which something could not be read.
pub(crate) fn hidden(broker: &Broker<'_>, what: &str) -> String {
    format!("broker {} could not be seen ({what}); nothing is done to it until it can", broker.id)
}

/// How long after its end a broker is started again.
fn pause(exit: &Exit, past: &Past) -> Duration {
    match exit {
        Exit::Clean | Exit::Crashed { .. } => match past.quick_ends {
            0 | 1 => Duration::ZERO,
            ends => doubled(FIRST_PAUSE, ends - 2, LONGEST_PAUSE),
        },
        Exit::BadConfiguration { .. } | Exit::LostDisk { .. } => {
            doubled(FIRST_USELESS_PAUSE, past.quick_ends.saturating_sub(1), LONGEST_USELESS_PAUSE)
        }
    }
}

/// The reason for a broker whose process ended, with the moment of the next start unless that is now.
fn ended(broker: &Broker<'_>, exit: &Exit, past: &Past, next: Option<Timestamp>) -> Wait {
    let id = broker.id;
    let next =
        next.map_or_else(|| "it is being started".to_owned(), |at| format!("the next start is at {at}"));
    match exit {
        Exit::BadConfiguration { said } => Wait::stuck(
            Reason::BadConfiguration,
            format!("broker {id} refused to start ({said}); correct that, then it starts by itself; {next}"),
        ),
        Exit::LostDisk { said } => Wait::stuck(
            Reason::StorageFailed,
            format!(
                "broker {id} lost its disk ({said}); bring its storage back, then it starts by itself; {next}"
            ),
        ),
        Exit::Clean if past.asked => {
            Wait::new(Reason::BrokerStarting, format!("broker {id} was stopped, as was asked; {next}"))
        }
        Exit::Clean if past.quick_ends < CRASH_LOOP_ENDS => {
            Wait::new(Reason::BrokerDown, format!("broker {id} was stopped; {next}"))
        }
        Exit::Clean => looping(broker, "it was stopped", past, &next),
        Exit::Crashed { said } if past.quick_ends < CRASH_LOOP_ENDS => {
            Wait::new(Reason::BrokerDown, format!("broker {id} ended ({said}); {next}"))
        }
        Exit::Crashed { said } => looping(broker, said, past, &next),
    }
}

fn looping(broker: &Broker<'_>, said: &str, past: &Past, next: &str) -> Wait {
    let (id, times) = (broker.id, past.quick_ends);
    Wait::new(
        Reason::CrashLoop,
        format!("broker {id} ended {times} times soon after its start (last: {said}); see its log; {next}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(exit: &Exit) -> Vec<u128> {
        (1..=12).map(|quick_ends| pause(exit, &Past { quick_ends, ..Past::default() }).as_millis()).collect()
    }

    #[test]
    fn the_first_start_after_a_crash_is_made_at_once_and_later_ones_ever_more_rarely() {
        let crashed = Exit::Crashed { said: "signal 9".to_owned() };
        assert_eq!(
            pauses(&crashed),
            [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]
        );
    }

    #[test]
    fn a_broker_that_says_that_trying_is_useless_is_tried_rarely() {
        let refused = Exit::BadConfiguration { said: "error: port taken".to_owned() };
        assert_eq!(pauses(&refused)[..7], [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
    }

    #[test]
    fn a_million_ends_overflow_nothing() {
        let crashed = Exit::Crashed { said: "signal 9".to_owned() };
        let past = Past { quick_ends: u32::MAX, ..Past::default() };
        assert_eq!(pause(&crashed, &past), LONGEST_PAUSE);
    }
}
