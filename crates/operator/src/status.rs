//! From what the agent says, and what else went wrong, to the status of the object: pure.

use crd::state;
use crd::status::{Condition, KafkaClusterStatus, Truth};
use crd::{KafkaCluster, labels};
use kube::ResourceExt;
use model::{ClusterStatus, Timestamp};

use crate::error::{Class, Error};

/// Puts a status together. `said` is what the agent says, if it says anything yet; `trouble` is what keeps us from
/// following the object, or from looking after what belongs to it.
#[must_use]
pub fn compose(
    object: &KafkaCluster,
    said: Option<&ClusterStatus>,
    trouble: Option<&Error>,
    own_clients: bool,
    now: Timestamp,
) -> KafkaClusterStatus {
    let mut status = match said {
        Some(said) => state::of(said, object),
        None => KafkaClusterStatus { at: Some(now.rfc3339()), ..KafkaClusterStatus::default() },
    };
    if own_clients && status.bootstrap.is_some() {
        status.client_secret = Some(labels::client_name(&object.name_any()));
    }
    let unfollowed = trouble
        .filter(|error| matches!(error, Error::Spec(_) | Error::Unreadable(_) | Error::Foreign { .. }));
    match (trouble, said) {
        // Nothing is being done, and a person has to act; or nothing was done yet.
        (Some(error), None) => {
            let reason = reason(error);
            for (kind, truth) in
                [("Ready", Truth::Unknown), ("Progressing", progressing(error)), ("Degraded", Truth::Unknown)]
            {
                put(&mut status, object, kind, truth, reason, &error.sentence(), now);
            }
        }
        // The brokers are looked after as before; what is new is not taken up.
        (Some(error), Some(_)) if unfollowed.is_some() || error.class() == Class::Terminal => {
            put(&mut status, object, "Progressing", Truth::False, reason(error), &error.sentence(), now);
        }
        _ => {}
    }
    keep_times(&mut status, object);
    status
}

fn progressing(error: &Error) -> Truth {
    match error.class() {
        Class::Waiting | Class::Transient => Truth::True,
        Class::Terminal | Class::User => Truth::False,
    }
}

fn reason(error: &Error) -> &'static str {
    match error.class() {
        Class::Waiting | Class::Transient => "Creating",
        Class::Terminal | Class::User => "BadConfiguration",
    }
}

/// States a condition in the place of one of that kind.
fn put(
    status: &mut KafkaClusterStatus,
    object: &KafkaCluster,
    kind: &str,
    truth: Truth,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    status.conditions.retain(|condition| condition.kind != kind);
    status.conditions.push(Condition {
        kind: kind.to_owned(),
        status: truth,
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: now.rfc3339(),
        observed_generation: object.metadata.generation,
    });
    status.conditions.sort_by_key(|condition| match condition.kind.as_str() {
        "Ready" => 0,
        "Progressing" => 1,
        _ => 2,
    });
}

/// A condition whose status is as before has it since before, also across a restart of the operator.
fn keep_times(status: &mut KafkaClusterStatus, object: &KafkaCluster) {
    let before = object.status.iter().flat_map(|status| &status.conditions);
    for old in before {
        let same = |new: &&mut Condition| new.kind == old.kind && new.status == old.status;
        if let Some(new) = status.conditions.iter_mut().find(same) {
            // What was edited by hand may be no time at all.
            if Timestamp::parse_rfc3339(&old.last_transition_time).is_some() {
                new.last_transition_time.clone_from(&old.last_transition_time);
            }
        }
    }
}

/// A change worth an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Whether somebody should have a look.
    pub is_warning: bool,
    /// The code.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

/// What changed from one status to the next, for Events: once for each reason, not once for each word in a sentence.
#[must_use]
pub fn news(before: Option<&KafkaClusterStatus>, after: &KafkaClusterStatus) -> Vec<News> {
    let mut news: Vec<News> = Vec::new();
    for new in &after.conditions {
        let old = before.and_then(|status| status.conditions.iter().find(|old| old.kind == new.kind));
        let changed = old.is_none_or(|old| (old.status, &old.reason) != (new.status, &new.reason));
        if !changed || new.reason.is_empty() {
            continue;
        }
        let is_warning = match new.kind.as_str() {
            "Degraded" => new.status == Truth::True,
            "Progressing" => {
                new.status == Truth::False && new.reason != "AllBrokersReady" && !is_asked_for(&new.reason)
            }
            _ => false,
        };
        // That nothing is degraded is no news, and one cause that shows in several conditions is told once.
        let told = news.iter().any(|it| it.reason == new.reason);
        if told || (new.kind == "Degraded" && !is_warning) {
            if let Some(it) = news.iter_mut().find(|it| it.reason == new.reason) {
                it.is_warning |= is_warning;
            }
            continue;
        }
        news.push(News { is_warning, reason: new.reason.clone(), message: new.message.clone() });
    }
    news
}

fn is_asked_for(reason: &str) -> bool {
    matches!(reason, "Paused" | "Stopped" | "Removed" | "Removing")
}
