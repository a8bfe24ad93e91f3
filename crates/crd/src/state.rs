//! From what an agent says about a cluster to the status of its object and back.

use kube::ResourceExt;
use model::condition::{self, Kind};
use model::status::{self, BrokerStatus};
use model::{BrokerId, ClusterStatus, Generation, Reason, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::intent;
use crate::spec::KafkaCluster;
use crate::status::{Broker, Condition, Endpoint, KafkaClusterStatus, Truth, Waiting};

/// A status that does not say what one of ours says: written by a newer operator, or edited by hand.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the status of KafkaCluster {name} cannot be understood: {what}")]
pub struct Unreadable {
    /// Which object.
    pub name: String,
    /// What in it.
    pub what: String,
}

/// The status of an object, from what the agent says. `at` is when the agent said it.
#[must_use]
pub fn of(said: &ClusterStatus, object: &KafkaCluster) -> KafkaClusterStatus {
    // What is said of an older intent describes an older generation of the object: which one, nobody knows any more.
    let current = said.observed_generation == intent::generation(object);
    let before = object.status.as_ref().and_then(|status| status.observed_generation);
    let observed_generation = if current { object.metadata.generation } else { before };
    let ready = said.brokers.iter().filter(|broker| broker.ready == condition::Truth::True).count();
    let bootstrap: Vec<String> = said.bootstrap().iter().map(ToString::to_string).collect();
    KafkaClusterStatus {
        observed_generation,
        intent_generation: Some(said.observed_generation.0),
        cluster_id: Some(said.cluster.to_string()),
        at: Some(said.at.rfc3339()),
        conditions: said.conditions.iter().map(|it| condition(it, observed_generation)).collect(),
        ready_brokers: Some(format!("{ready}/{}", said.brokers.len())),
        bootstrap: (!bootstrap.is_empty()).then(|| bootstrap.join(",")),
        brokers: said.brokers.iter().map(broker).collect(),
        waiting: said.waiting.iter().map(waiting).collect(),
        cluster_ca: said.cluster_ca.clone(),
        client_secret: None,
        removed: said.removed,
    }
}

/// What the agent of an object said last; none if it said nothing yet.
///
/// # Errors
/// If the status holds what no agent of this release says.
pub fn read(object: &KafkaCluster) -> Result<Option<ClusterStatus>, Unreadable> {
    let Some(status) = &object.status else { return Ok(None) };
    let Some(generation) = status.intent_generation else { return Ok(None) };
    let unreadable = |what: String| Unreadable { name: object.name_any(), what };
    let cluster = status.cluster_id.as_deref().and_then(|text| text.parse().ok());
    let time =
        |text: &str| Timestamp::parse_rfc3339(text).ok_or_else(|| unreadable(format!("time {text:?}")));
    let reason = |text: &str| from_word::<Reason>(text).ok_or_else(|| unreadable(format!("reason {text:?}")));
    let conditions = status.conditions.iter().filter_map(|it| {
        // Another controller may add conditions of its own.
        let kind: Kind = from_word(&it.kind)?;
        Some(reason(&it.reason).and_then(|reason| {
            let since = time(&it.last_transition_time)?;
            let message = it.message.clone();
            Ok(condition::Condition { kind, status: truth(it.status), reason, message, since })
        }))
    });
    let brokers = status.brokers.iter().map(|it| {
        Ok(BrokerStatus {
            id: BrokerId(it.id),
            ready: truth(it.ready),
            reason: reason(&it.reason)?,
            message: it.message.clone(),
            endpoint: match &it.endpoint {
                None => None,
                Some(endpoint) => Some(status::Endpoint {
                    host: endpoint.host.clone(),
                    port: u16::try_from(endpoint.port)
                        .map_err(|_| unreadable(format!("port {}", endpoint.port)))?,
                }),
            },
            restarts: u32::try_from(it.restarts).unwrap_or(u32::MAX),
        })
    });
    let waiting = status.waiting.iter().map(|it| {
        Ok(status::Waiting {
            broker: it.broker.map(BrokerId),
            reason: reason(&it.reason)?,
            message: it.message.clone(),
            since: time(&it.since)?,
        })
    });
    Ok(Some(ClusterStatus {
        cluster: cluster.ok_or_else(|| unreadable("no clusterId".to_owned()))?,
        observed_generation: Generation(generation),
        at: time(status.at.as_deref().unwrap_or_default())?,
        conditions: conditions.collect::<Result<_, Unreadable>>()?,
        brokers: brokers.collect::<Result<_, Unreadable>>()?,
        waiting: waiting.collect::<Result<_, Unreadable>>()?,
        cluster_ca: status.cluster_ca.clone(),
        removed: status.removed,
    }))
}

/// Whether two statuses say the same, whenever they were written.
#[must_use]
pub fn says_the_same(one: &KafkaClusterStatus, other: &KafkaClusterStatus) -> bool {
    KafkaClusterStatus { at: other.at.clone(), ..one.clone() } == *other
}

fn condition(it: &condition::Condition, observed_generation: Option<i64>) -> Condition {
    Condition {
        kind: word(&it.kind),
        status: shown(it.status),
        reason: word(&it.reason),
        message: it.message.clone(),
        last_transition_time: it.since.rfc3339(),
        observed_generation,
    }
}

fn broker(it: &BrokerStatus) -> Broker {
    Broker {
        id: it.id.0,
        ready: shown(it.ready),
        reason: word(&it.reason),
        message: it.message.clone(),
        endpoint: it
            .endpoint
            .as_ref()
            .map(|endpoint| Endpoint { host: endpoint.host.clone(), port: i32::from(endpoint.port) }),
        restarts: i64::from(it.restarts),
    }
}

fn waiting(it: &status::Waiting) -> Waiting {
    Waiting {
        broker: it.broker.map(|broker| broker.0),
        reason: word(&it.reason),
        message: it.message.clone(),
        since: it.since.rfc3339(),
    }
}

fn shown(truth: condition::Truth) -> Truth {
    match truth {
        condition::Truth::True => Truth::True,
        condition::Truth::False => Truth::False,
        condition::Truth::Unknown => Truth::Unknown,
    }
}

fn truth(shown: Truth) -> condition::Truth {
    match shown {
        Truth::True => condition::Truth::True,
        Truth::False => condition::Truth::False,
        Truth::Unknown => condition::Truth::Unknown,
    }
}

/// The word for a variant without fields, the same as in every other interface.
pub(crate) fn word(variant: &impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        // No variant that is passed here has fields.
        _ => String::new(),
    }
}

fn from_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}
