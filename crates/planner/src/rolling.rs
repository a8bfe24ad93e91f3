//! Takes up what only a restart can take up, one broker at a time: a changed specification, a new certificate.
//!
//! Where a roll stands is read from the brokers themselves: those whose fingerprint differs from what is wanted, or whose
//! certificate ends before long, are still to come. It therefore resumes after any interruption, and a newer intent simply changes who is to come.
//!
//! A broker that serves is restarted only while every other one serves. One that does not serve may be restarted
//! whatever the others do: it takes nothing from anybody, and a change that repairs a broken configuration must not
//! wait for the brokers that it is to repair. So unready ones go first.

use std::time::Duration;

use model::{Action, Reason};

use crate::cluster::{Draft, Scene, Wait};
use crate::stand::{Broker, Stand};

/// A broker that has not become ready for this long after its start may be restarted for a change. Before that it is
/// more likely slow than broken. It does not apply to one that says that it checks its logs: that is never restarted.
pub(crate) const START_GRACE: Duration = Duration::from_secs(60);

/// Restarts the next broker that is to be restarted, if one may be.
pub(crate) fn roll(scene: &Scene<'_>, draft: &mut Draft) {
    let mut next: Option<&Broker<'_>> = None;
    for broker in scene.wanted().filter(|broker| is_to_come(broker)) {
        if broken(scene, broker) {
            // Unready ones first; of several, the first in order.
            if next.is_none_or(Broker::is_ready) {
                next = Some(broker);
            }
        } else if broker.is_ready() && next.is_none() {
            next = Some(broker);
        }
    }
    let Some(next) = next else { return };

    let blocker = blocker(scene, next, draft);
    // If nothing will come of the wait of the one that goes first, nothing will come of the others' either.
    let stuck = blocker.as_ref().is_some_and(|wait| wait.stuck);
    for broker in scene.wanted().filter(|broker| is_to_come(broker) && broker.is_ready()) {
        let message = format!("broker {} waits for its turn: broker {} goes first", broker.id, next.id);
        draft.wait(Some(broker.id), Wait { reason: Reason::Restarting, message, stuck });
    }
    if let Some(blocker) = blocker {
        draft.wait(Some(next.id), blocker);
        return;
    }
    let (Some(spec), Some(incarnation)) = (&next.spec, next.running()) else { return };
    let action = Action::Restart {
        spec: spec.clone(),
        incarnation: incarnation.to_owned(),
        why: next.restart_reasons(),
    };
    let purpose = match next.certificate_ends {
        Some(end) if !next.outdated => format!("renew its certificate, which ends at {end}"),
        _ => "take up a change".to_owned(),
    };
    let message = format!("broker {} is being restarted to {purpose}", next.id);
    draft.act(scene, action, Wait::new(Reason::Restarting, message));
}

fn is_to_come(broker: &Broker<'_>) -> bool {
    !broker.restart_reasons().is_empty()
}

/// Whether a broker runs without serving, for so long that it is not just starting. One that is held up from outside
/// needs no such time: it does nothing that a restart could interrupt, and the change may be what lets it run.
fn broken(scene: &Scene<'_>, broker: &Broker<'_>) -> bool {
    match broker.stand {
        Stand::NotReady { since, .. } => scene.now.since(since) >= START_GRACE,
        Stand::Held { .. } => true,
        _ => false,
    }
}

/// What keeps a broker from being restarted now.
fn blocker(scene: &Scene<'_>, next: &Broker<'_>, draft: &Draft) -> Option<Wait> {
    let restarting = scene.wanted().find(|other| {
        other.id != next.id && matches!(scene.memory.underway(other.id), Some(Action::Restart { .. }))
    });
    let unready = || {
        scene.wanted().find(|other| {
            other.id != next.id && (!other.is_ready() || scene.memory.underway(other.id).is_some())
        })
    };
    let other = match restarting {
        Some(other) => other,
        None if next.is_ready() => unready()?,
        None => return None,
    };
    let message = format!("broker {} waits to be restarted until broker {} is ready", next.id, other.id);
    // If nothing will come of the other's wait, nothing will come of this one.
    let stuck = draft.waits.get(&Some(other.id)).is_some_and(|wait| wait.stuck);
    Some(Wait { reason: Reason::Restarting, message, stuck })
}
