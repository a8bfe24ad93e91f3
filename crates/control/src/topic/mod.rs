//! Topics. The brokers are the truth: lists come from them, completed by the changes that are still under way.
//!
//! A change is a job in the store. The use case that stores it also tries it at once, so that it normally takes
//! milliseconds; if the brokers do not answer, the reconciler goes on trying, and the topic shows as being made or
//! removed until it is.
//!
//! - [`limits`] checks a request against a plan, purely;
//! - [`change`] holds the use cases;
//! - [`job`] carries a stored change to the brokers;
//! - [`policy`] translates retention and compaction into Kafka's configuration and back.

mod change;
mod job;
mod limits;
mod policy;

use std::collections::BTreeMap;
use std::time::Duration;

use model::ClusterId;
use serde::{Deserialize, Serialize};
use store::job::{Outcome, State as JobState};

use crate::Control;
use crate::brokers::{TopicSeen, TopicSpec};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::{ResourceRef, resource};

pub use job::JobEnd;
use job::Order;

/// How long lists show that a change of a topic has failed. Long enough to be read by whoever asked for it.
const SHOW_FAILURES_FOR: Duration = Duration::from_secs(600);

/// Where a topic is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopicState {
    /// Asked for; the brokers do not have it yet.
    Creating,
    /// Clients can use it.
    Ready,
    /// Its removal is under way.
    Deleting,
    /// It could not be made.
    Failed,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Partitions; 0 until the brokers have it.
    pub partitions: u32,
    /// Replicas of each.
    pub replication_factor: u16,
    /// How long records are kept, in milliseconds; none = without limit.
    pub retention_ms: Option<i64>,
    /// Whether only the newest record of each key is kept.
    pub compaction: bool,
    /// Where it is in its life.
    pub state: TopicState,
    /// What went wrong, if something did.
    pub message: Option<String>,
    /// Whether it is the brokers' own.
    pub internal: bool,
}

/// A topic that is asked for. What is left open comes from the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Partitions.
    pub partitions: Option<u32>,
    /// Replicas of each.
    pub replication_factor: Option<u16>,
    /// How long to keep records, in milliseconds. Left open with compaction, it is without limit.
    pub retention_ms: Option<i64>,
    /// Whether to keep only the newest record of each key.
    pub compaction: bool,
}

/// How long records are to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Retention {
    /// So many milliseconds.
    Milliseconds(i64),
    /// Without limit; only with compaction.
    Unlimited,
}

/// What is to change about a topic; what is left open stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TopicChange {
    /// How long to keep records.
    pub retention: Option<Retention>,
    /// Whether to keep only the newest record of each key.
    pub compaction: Option<bool>,
    /// Replicas of each partition.
    pub replication_factor: Option<u16>,
}

impl Control {
    /// The topics of a resource, by name.
    pub async fn topics(&self, caller: &Caller, reference: &ResourceRef) -> Result<Vec<Topic>, Problem> {
        let mut tx = self.begin().await?;
        let resource = resource::find(&mut tx, caller, reference).await?;
        drop(tx);
        resource.usable()?;
        let access = self.access(resource.cluster).await?;
        let seen = self.inner.brokers.topics(&access).await.map_err(job::problem)?;
        self.merge_topics(resource.cluster, seen).await
    }

    /// One topic of a resource.
    pub async fn topic(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
        name: &str,
    ) -> Result<Topic, Problem> {
        let topics = self.topics(caller, reference).await?;
        topics.into_iter().find(|topic| topic.name == name).ok_or_else(|| Problem::not_found("topic", name))
    }

    /// What the brokers have, completed by what is under way.
    pub(crate) async fn merge_topics(
        &self,
        cluster: ClusterId,
        seen: Vec<TopicSeen>,
    ) -> Result<Vec<Topic>, Problem> {
        let since =
            model::Timestamp(self.now().0 - i64::try_from(SHOW_FAILURES_FOR.as_millis()).unwrap_or(0));
        let mut tx = self.begin().await?;
        let jobs = store::job::recent(&mut tx, cluster, since).await?;
        Ok(merge(seen, &jobs))
    }
}

/// What the brokers have and what is under way, by name. Jobs come oldest first; of several for one topic the last
/// says how it is.
fn merge(seen: Vec<TopicSeen>, jobs: &[Outcome]) -> Vec<Topic> {
    let mut topics: BTreeMap<String, Topic> =
        seen.into_iter().map(|topic| (topic.name.clone(), Topic::from(topic))).collect();
    for job in last_of_each(jobs) {
        // A job of a kind that an older release does not know is no reason to show nothing at all.
        let Ok(order) = serde_json::from_value::<Order>(job.payload.clone()) else { continue };
        match (topics.get_mut(order.topic()), order) {
            (None, Order::Create(spec)) if job.state != JobState::Done => {
                topics.insert(spec.name.clone(), Topic::unmade(spec, job));
            }
            (Some(topic), Order::Delete { .. }) if job.state == JobState::Queued => {
                topic.state = TopicState::Deleting;
                topic.message.clone_from(&job.last_error);
            }
            (Some(topic), Order::Delete { .. } | Order::Configure { .. }) => {
                topic.message.clone_from(&job.last_error);
            }
            _ => {}
        }
    }
    topics.into_values().collect()
}

/// The newest job of each subject; they come oldest first.
fn last_of_each(jobs: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    let last: BTreeMap<&str, &Outcome> = jobs.iter().map(|job| (job.subject.as_str(), job)).collect();
    last.into_values()
}

impl Topic {
    /// A topic that the brokers do not have: it is being made, or could not be.
    fn unmade(spec: TopicSpec, job: &Outcome) -> Topic {
        Topic {
            name: spec.name,
            partitions: 0,
            replication_factor: spec.replication_factor,
            retention_ms: policy::retention_ms(&spec.config),
            compaction: policy::compaction(&spec.config),
            state: if job.state == JobState::Dead { TopicState::Failed } else { TopicState::Creating },
            message: job.last_error.clone(),
            internal: false,
        }
    }
}

impl From<TopicSeen> for Topic {
    fn from(seen: TopicSeen) -> Topic {
        Topic {
            partitions: seen.partitions,
            replication_factor: seen.replication_factor,
            retention_ms: policy::retention_ms(&seen.config),
            compaction: policy::compaction(&seen.config),
            state: TopicState::Ready,
            message: None,
            internal: seen.internal,
            name: seen.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str) -> TopicSeen {
        TopicSeen {
            name: name.to_owned(),
            partitions: 4,
            replication_factor: 1,
            internal: false,
            config: policy::config(Some(1_000), false),
        }
    }

    fn create(name: &str, state: JobState) -> Outcome {
        let spec = TopicSpec {
            name: name.to_owned(),
            partitions: 4,
            replication_factor: 1,
            config: policy::config(None, true),
        };
        outcome(&Order::Create(spec), state)
    }

    fn delete(name: &str, state: JobState) -> Outcome {
        outcome(&Order::Delete { name: name.to_owned() }, state)
    }

    fn outcome(order: &Order, state: JobState) -> Outcome {
        Outcome {
            subject: order.subject(),
            kind: order.kind().to_owned(),
            payload: serde_json::to_value(order).unwrap(),
            state,
            last_error: (state == JobState::Dead).then(|| "no room".to_owned()),
        }
    }

    fn check(topics: &[&str], jobs: &[Outcome], expected: &[(&str, u32, TopicState)]) {
        let merged = merge(topics.iter().map(|name| seen(name)).collect(), jobs);
        let got: Vec<_> =
            merged.iter().map(|topic| (topic.name.as_str(), topic.partitions, topic.state)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn what_is_under_way_shows_beside_what_is_there() {
        use JobState::{Dead, Done, Queued};
        use TopicState::{Creating, Deleting, Failed, Ready};
        check(&["a"], &[create("b", Queued)], &[("a", 4, Ready), ("b", 0, Creating)]);
        check(&["a"], &[create("a", Done)], &[("a", 4, Ready)]);
        check(&[], &[create("a", Dead)], &[("a", 0, Failed)]);
        check(&["a"], &[create("a", Dead)], &[("a", 4, Ready)]);
        check(&["a"], &[delete("a", Queued)], &[("a", 4, Deleting)]);
        check(&[], &[create("a", Dead), create("a", Queued)], &[("a", 0, Creating)]);
        check(&[], &[create("a", Dead), create("a", Done), delete("a", Done)], &[]);
    }

    #[test]
    fn a_compacted_topic_without_retention_keeps_records_without_limit() {
        let merged = merge(vec![], &[create("a", JobState::Queued)]);
        assert_eq!((merged[0].retention_ms, merged[0].compaction), (None, true));
        let plain = Topic::from(seen("a"));
        assert_eq!((plain.retention_ms, plain.compaction), (Some(1_000), false));
    }
}
