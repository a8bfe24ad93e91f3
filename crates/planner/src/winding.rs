//! Lifecycles other than running: leave everything as it is, stop, remove.
//!
//! These look at every broker of which there is a trace, wanted or not.

use std::time::Duration;

use model::{Action, BrokerId, Reason};

use crate::cluster::{Draft, Scene, Wait};
use crate::heal;
use crate::stand::{Broker, Stand};

/// Pause before looking again at something that could not be read.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Does nothing, and says so.
pub(crate) fn pause(scene: &Scene<'_>, draft: &mut Draft) {
    let message =
        format!("cluster {} is paused: nothing is done to it until it is resumed", scene.intent.name);
    draft.wait(None, Wait::new(Reason::Paused, message));
    for broker in scene.wanted() {
        match &broker.stand {
            Stand::Missing | Stand::Ended { .. } => {
                let message = format!("broker {} does not run, and the cluster is paused", broker.id);
                draft.wait(Some(broker.id), Wait::new(Reason::BrokerDown, message));
            }
            _ => heal::unserving(scene, broker, draft),
        }
    }
}

/// Stops every broker and keeps its data. Who checks its logs or does not answer is waited for: being stopped is
/// never so urgent that hours of work may be thrown away for it.
pub(crate) fn stop(scene: &Scene<'_>, draft: &mut Draft) {
    for broker in scene.brokers.values() {
        match &broker.stand {
            Stand::Ready { incarnation }
            | Stand::NotReady { incarnation, .. }
            | Stand::Unreached { incarnation, .. }
            | Stand::Held { incarnation, .. } => {
                end(scene, broker.id, incarnation, Reason::Stopped, draft);
            }
            Stand::Hidden { .. } | Stand::Recovering { .. } | Stand::Silent { .. } => {
                heal::unserving(scene, broker, draft);
            }
            Stand::Missing | Stand::Ended { .. } => busy(scene, broker.id, Reason::Stopped, draft),
        }
    }
    unseen(scene, draft);
}

/// Stops every broker, then deletes it with its data, then what is left of the cluster. Here a broker that checks its
/// logs is stopped as well: the result of its work would be deleted in the same minute, and its owner waits.
pub(crate) fn remove(scene: &Scene<'_>, draft: &mut Draft) {
    for broker in scene.brokers.values() {
        let id = broker.id;
        if let Some(incarnation) = broker.running() {
            end(scene, id, incarnation, Reason::Removing, draft);
            continue;
        }
        match (&broker.stand, broker.seen) {
            (Stand::Hidden { what }, _) => {
                draft.wait(Some(id), Wait::new(Reason::Removing, heal::hidden(broker, what)));
                draft.wakes.push(scene.now.plus(LOOK_AGAIN));
            }
            (_, Some(_)) => {
                let message = format!("broker {id} and its data are being deleted");
                draft.act(scene, Action::RemoveBroker { broker: id }, Wait::new(Reason::Removing, message));
            }
            (_, None) => busy(scene, id, Reason::Removing, draft),
        }
    }
    unseen(scene, draft);
    if draft.waits.is_empty() && scene.seen.remains {
        let message = format!("what is left of cluster {} is being deleted", scene.intent.name);
        draft.act(scene, Action::RemoveRest, Wait::new(Reason::Removing, message));
    }
}

/// Ends a process gently.
fn end(scene: &Scene<'_>, id: BrokerId, incarnation: &str, reason: Reason, draft: &mut Draft) {
    // Between this look and the signal a broker that starts may begin to check its logs; whoever stops it asks again.
    let spare_recovery = reason != Reason::Removing;
    let action = Action::Stop { broker: id, incarnation: incarnation.to_owned(), spare_recovery };
    draft.act(scene, action, Wait::new(reason, format!("broker {id} is being stopped")));
}

/// States that a broker without a process is not settled while an action on it is under way: it may be a start.
fn busy(scene: &Scene<'_>, id: BrokerId, reason: Reason, draft: &mut Draft) {
    if scene.memory.underway(id).is_some() {
        let message = format!("an earlier step on broker {id} is waited for");
        draft.wait(Some(id), Wait::new(reason, message));
    }
}

/// States what is waited for although no broker shows it: the cluster as a whole could not be read, or an action is
/// under way on something of which there is no trace.
fn unseen(scene: &Scene<'_>, draft: &mut Draft) {
    if let Some(gap) = scene.seen.gaps.iter().find(|gap| gap.broker.is_none()) {
        let message = format!(
            "cluster {} could not be seen ({}); nothing is done until it can",
            scene.intent.name, gap.what
        );
        draft.wait(None, Wait::new(Reason::Unreachable, message));
        draft.wakes.push(scene.now.plus(LOOK_AGAIN));
    } else if draft.waits.is_empty() && !scene.memory.in_flight.is_empty() {
        let wait = Wait::new(Reason::Removing, "an earlier step is waited for");
        draft.wait(None, wait);
    }
}

/// Whether a broker is where stopping wants it.
pub(crate) fn is_stopped(broker: &Broker<'_>) -> bool {
    matches!(broker.stand, Stand::Missing | Stand::Ended { .. })
}
