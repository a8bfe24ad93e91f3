//! Puts a decision into words: the status of the cluster, its conditions, and since when each of them holds.

use std::time::Duration;

use model::condition::{Condition, Kind, Truth};
use model::status::{BrokerStatus, Endpoint, Waiting};
use model::{BrokerId, ClusterStatus, Lifecycle, Reason, Timestamp};

use crate::cluster::{Decision, Draft, LOOK_EVERY, Scene, Wait};
use crate::stand::{Broker, Stand};
use crate::winding;

/// For so long a broker that was ready and is not seen any more still counts as ready in what is *said*: one lost
/// packet must not page anybody. What is *done* gives no such credit.
const UNSEEN_CREDIT: Duration = Duration::from_secs(10);

/// The decision for an observation that is older than one already considered: do nothing, say the same again.
pub(crate) fn repeat(scene: &Scene<'_>) -> Decision {
    let report = scene.memory.said.clone().unwrap_or_else(|| {
        let mut draft = Draft::default();
        let message = format!("cluster {} was only seen as it was before", scene.intent.name);
        draft.wait(None, Wait::new(Reason::Unreachable, message));
        compose(scene, draft).report
    });
    Decision { actions: Vec::new(), report, wake_at: scene.now.plus(Duration::from_secs(1)) }
}

/// The decision for a draft.
pub(crate) fn compose(scene: &Scene<'_>, draft: Draft) -> Decision {
    let brokers: Vec<BrokerStatus> =
        scene.brokers.values().map(|broker| status(scene, &draft, broker)).collect();
    let removed = is_removed(scene, &draft);
    let (ready, progressing, degraded) = match scene.intent.lifecycle {
        Lifecycle::Run => {
            (ready(scene, &draft, &brokers), progressing(scene, &draft, &brokers), degraded(&draft, &brokers))
        }
        Lifecycle::Pause => {
            let paused = draft.waits.get(&None).map_or_else(String::new, |wait| wait.message.clone());
            let still = Verdict::new(Truth::False, Reason::Paused, paused);
            (ready(scene, &draft, &brokers), still, degraded(&draft, &brokers))
        }
        Lifecycle::Stop => {
            winding(scene, &draft, Reason::Stopped, scene.brokers.values().all(winding::is_stopped))
        }
        Lifecycle::Remove => {
            winding(scene, &draft, if removed { Reason::Removed } else { Reason::Removing }, removed)
        }
    };
    let waiting = draft.waits.into_iter().map(|(broker, wait)| waiting(scene, broker, wait)).collect();
    let report = ClusterStatus {
        cluster: scene.intent.cluster,
        observed_generation: scene.intent.generation,
        at: scene.now,
        conditions: vec![
            condition(scene, Kind::Ready, ready),
            condition(scene, Kind::Progressing, progressing),
            condition(scene, Kind::Degraded, degraded),
        ],
        brokers,
        waiting,
        cluster_ca: scene.seen.cluster_ca.clone().or_else(|| remembered_ca(scene)),
        removed,
    };
    let underway = scene.memory.in_flight.values().map(|in_flight| in_flight.patience.end());
    // What is overdue is looked at again in a moment rather than in the same instant for ever.
    let at_least = scene.now.plus(Duration::from_millis(1));
    let wake_at = draft.wakes.into_iter().chain(underway).fold(scene.now.plus(LOOK_EVERY), Timestamp::min);
    Decision { actions: draft.actions, report, wake_at: wake_at.max(at_least) }
}

/// Whether nothing will come of waiting for what has this reason: somebody has to act.
pub(crate) fn needs_a_person(reason: Reason) -> bool {
    matches!(reason, Reason::BadConfiguration | Reason::ReleaseMissing | Reason::StorageFailed)
}

/// A condition without its `since`.
struct Verdict {
    status: Truth,
    reason: Reason,
    message: String,
}

impl Verdict {
    fn new(status: Truth, reason: Reason, message: impl Into<String>) -> Verdict {
        Verdict { status, reason, message: message.into() }
    }

    fn of(status: Truth, wait: &Wait) -> Verdict {
        Verdict::new(status, wait.reason, wait.message.clone())
    }
}

/// Whether clients can use the cluster: a majority of the wanted brokers serves.
fn ready(scene: &Scene<'_>, draft: &Draft, brokers: &[BrokerStatus]) -> Verdict {
    let wanted: Vec<&BrokerStatus> = brokers.iter().filter(|broker| is_wanted(scene, broker.id)).collect();
    let count = |truth| wanted.iter().filter(|broker| broker.ready == truth).count();
    let (ready, unknown, all) = (count(Truth::True), count(Truth::Unknown), wanted.len());
    if ready == all {
        return Verdict::new(Truth::True, Reason::AllBrokersReady, all_ready(all));
    }
    let status = match all / 2 + 1 {
        majority if ready >= majority => Truth::True,
        majority if ready + unknown >= majority => Truth::Unknown,
        _ => Truth::False,
    };
    let absent = wanted
        .iter()
        .find(|broker| broker.ready != Truth::True && draft.waits.contains_key(&Some(broker.id)));
    let (reason, message) =
        absent.map_or((Reason::Unreachable, ""), |broker| (broker.reason, &broker.message));
    match all {
        1 => Verdict::new(status, reason, message),
        _ => Verdict::new(status, reason, format!("{ready} of {all} brokers are ready: {message}")),
    }
}

/// Whether something is being changed. What only could not be seen is no change, and what waits for a person is none
/// that goes on by itself.
fn progressing(scene: &Scene<'_>, draft: &Draft, brokers: &[BrokerStatus]) -> Verdict {
    let waits = || draft.waits.values().filter(|wait| wait.reason != Reason::Unreachable);
    if let Some(wait) = waits().find(|wait| !wait.stuck) {
        return Verdict::of(Truth::True, wait);
    }
    if let Some(wait) = waits().next() {
        return Verdict::of(Truth::False, wait);
    }
    // Only what was not seen is left. With the credit that is given it may still count as reached.
    match brokers.iter().find(|broker| is_wanted(scene, broker.id) && broker.ready != Truth::True) {
        Some(unseen) => Verdict::new(Truth::Unknown, unseen.reason, unseen.message.clone()),
        None => Verdict::new(Truth::False, Reason::AllBrokersReady, all_ready(scene.wanted().count())),
    }
}

/// Whether the cluster works less well than it was asked to, through no step of ours.
fn degraded(draft: &Draft, brokers: &[BrokerStatus]) -> Verdict {
    let refused = |broker: &&BrokerStatus| broker.reason == Reason::AddressRefused;
    let ailing = brokers.iter().find(|broker| {
        broker.ready != Truth::True
            && draft.waits.get(&Some(broker.id)).is_some_and(|wait| match wait.reason {
                Reason::BrokerDown
                | Reason::BrokerRecovering
                | Reason::CrashLoop
                | Reason::BadConfiguration
                | Reason::StorageFailed
                | Reason::Unreachable
                | Reason::AddressRefused
                | Reason::ReleaseMissing
                | Reason::Unschedulable => true,
                Reason::AllBrokersReady
                | Reason::Creating
                | Reason::BrokerStarting
                | Reason::Restarting
                | Reason::Removing
                | Reason::Removed
                | Reason::Paused
                | Reason::Stopped => false,
            })
    });
    match ailing.or_else(|| brokers.iter().find(refused)) {
        Some(broker) => Verdict::new(Truth::True, broker.reason, broker.message.clone()),
        None => Verdict::new(Truth::False, Reason::AllBrokersReady, "no broker has failed"),
    }
}

/// The three conditions of a cluster that is being stopped or removed.
fn winding(scene: &Scene<'_>, draft: &Draft, reason: Reason, reached: bool) -> (Verdict, Verdict, Verdict) {
    let name = &scene.intent.name;
    let (doing, done) = match reason {
        Reason::Stopped => ("being stopped", "stopped; its data is kept"),
        _ => ("being removed", "removed, with its data"),
    };
    let message =
        if reached { format!("cluster {name} is {done}") } else { format!("cluster {name} is {doing}") };
    let progressing = match draft.waits.values().next() {
        None if reached => Verdict::new(Truth::False, reason, message.clone()),
        None => Verdict::new(Truth::True, reason, message.clone()),
        Some(wait) if wait.stuck => Verdict::of(Truth::False, wait),
        Some(wait) => Verdict::new(Truth::True, reason, wait.message.clone()),
    };
    (
        Verdict::new(Truth::False, reason, message.clone()),
        progressing,
        Verdict::new(Truth::False, reason, message),
    )
}

/// Whether everything is gone. Only certainty counts: no trace of a broker, nothing left, nothing unread, and no
/// action under way that could still bring something back.
fn is_removed(scene: &Scene<'_>, draft: &Draft) -> bool {
    scene.intent.lifecycle == Lifecycle::Remove
        && draft.waits.is_empty()
        && scene.seen.brokers.is_empty()
        && scene.seen.gaps.is_empty()
        && !scene.seen.remains
}

fn status(scene: &Scene<'_>, draft: &Draft, broker: &Broker<'_>) -> BrokerStatus {
    let past = scene.memory.brokers.get(&broker.id);
    let unseen = matches!(broker.stand, Stand::Silent { .. } | Stand::Hidden { .. });
    let credit = past
        .and_then(|past| past.ready_at)
        .is_some_and(|ready_at| ready_at <= scene.now && scene.now.since(ready_at) < UNSEEN_CREDIT);
    let ready = match unseen {
        false if broker.is_ready() => Truth::True,
        false => Truth::False,
        true if credit => Truth::True,
        true => Truth::Unknown,
    };
    let (reason, message) = match draft.waits.get(&Some(broker.id)) {
        Some(wait) => (wait.reason, wait.message.clone()),
        None => settled(scene, broker),
    };
    BrokerStatus {
        id: broker.id,
        ready,
        reason,
        message,
        endpoint: broker
            .seen
            .and_then(|seen| seen.endpoint.clone())
            .or_else(|| remembered_endpoint(scene, broker)),
        restarts: past.map_or(0, |past| past.restarts),
    }
}

/// The address said last of a broker that could not be seen just now: addresses stay, so clients keep theirs.
fn remembered_endpoint(scene: &Scene<'_>, broker: &Broker<'_>) -> Option<Endpoint> {
    let hidden = matches!(broker.stand, Stand::Hidden { .. });
    let said = scene.memory.said.as_ref().filter(|_| hidden)?;
    said.brokers.iter().find(|before| before.id == broker.id)?.endpoint.clone()
}

/// The authority said last, if not everything could be seen just now.
fn remembered_ca(scene: &Scene<'_>) -> Option<String> {
    scene.memory.said.as_ref().filter(|_| !scene.seen.gaps.is_empty())?.cluster_ca.clone()
}

/// What is said of a broker for which nothing is waited.
fn settled(scene: &Scene<'_>, broker: &Broker<'_>) -> (Reason, String) {
    let id = broker.id;
    if !is_wanted(scene, id) && scene.intent.lifecycle == Lifecycle::Run {
        let message = format!("broker {id} is not wanted any more; it is left as it is, with its data");
        return (Reason::Stopped, message);
    }
    match &broker.stand {
        Stand::Ready { .. } if broker.refused => (Reason::AddressRefused, refusal(broker)),
        Stand::Ready { .. } => (Reason::AllBrokersReady, format!("broker {id} is ready")),
        _ if scene.intent.lifecycle == Lifecycle::Remove => {
            (Reason::Removed, format!("broker {id} is removed"))
        }
        _ => (Reason::Stopped, format!("broker {id} is stopped")),
    }
}

/// What is said of a broker whose address was waited for in vain.
fn refusal(broker: &Broker<'_>) -> String {
    format!(
        "broker {} serves, but {}, to which clients are sent, refuses connections from here; see whether clients get \
         through, and what keeps others from it",
        broker.id,
        broker.address()
    )
}

fn is_wanted(scene: &Scene<'_>, id: BrokerId) -> bool {
    scene.brokers.get(&id).is_some_and(|broker| broker.spec.is_some())
}

fn all_ready(count: usize) -> String {
    match count {
        1 => "the broker is ready".to_owned(),
        count => format!("all {count} brokers are ready"),
    }
}

/// Gives a verdict its `since`: that of the same status said before.
fn condition(scene: &Scene<'_>, kind: Kind, verdict: Verdict) -> Condition {
    let before = scene.memory.said.as_ref().and_then(|said| said.condition(kind));
    let since =
        before.filter(|before| before.status == verdict.status).map_or(scene.now, |before| before.since);
    Condition { kind, status: verdict.status, reason: verdict.reason, message: verdict.message, since }
}

/// Gives a wait its `since`: that of the same wait said before.
fn waiting(scene: &Scene<'_>, broker: Option<BrokerId>, wait: Wait) -> Waiting {
    let said = scene.memory.said.iter().flat_map(|said| &said.waiting);
    let before = said.into_iter().find(|before| before.broker == broker && before.reason == wait.reason);
    let since = before.map_or(scene.now, |before| before.since);
    Waiting { broker, reason: wait.reason, message: wait.message, since }
}
