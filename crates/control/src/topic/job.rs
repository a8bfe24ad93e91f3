//! A stored change of a topic, carried to the brokers.
//!
//! An attempt may have worked although its answer was lost. A repeated attempt therefore takes "exists already" and
//! "does not exist" for what they then mean: done.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Timestamp;
use serde::{Deserialize, Serialize};
use store::job::Job;
use store::{StoreError, Tx};

use crate::Control;
use crate::brokers::{BrokersError, TopicSpec};
use crate::problem::Problem;

/// How long an attempt may take before the job is due again: two deadlines of a call, so that a worker that is alive
/// has certainly ended by then.
pub(crate) const ATTEMPT_TAKES_AT_MOST: Duration = Duration::from_secs(20);

/// Attempts before a change is given up. With the pauses below that is about a quarter of an hour: longer than any
/// restart of a cluster, shorter than a person's patience.
const MAX_ATTEMPTS: i32 = 20;

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Make a topic.
    Create(TopicSpec),
    /// Set some of its configuration.
    Configure {
        /// Which topic.
        name: String,
        /// What of its configuration.
        config: BTreeMap<String, String>,
    },
    /// Delete it.
    Delete {
        /// Which topic.
        name: String,
    },
}

impl Order {
    pub(crate) fn topic(&self) -> &str {
        match self {
            Order::Create(spec) => &spec.name,
            Order::Configure { name, .. } | Order::Delete { name } => name,
        }
    }

    /// What the job works on: two unfinished jobs of one subject cannot exist.
    pub(crate) fn subject(&self) -> String {
        format!("topic/{}", self.topic())
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Order::Create(_) => "topic.create",
            Order::Configure { .. } => "topic.configure",
            Order::Delete { .. } => "topic.delete",
        }
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub enum JobEnd {
    /// It is done.
    Done,
    /// Not this time; another attempt may work.
    Again {
        /// Why not.
        message: String,
    },
    /// It will never work.
    Never(Problem),
}

impl JobEnd {
    /// Stores what became of an attempt.
    pub async fn record(&self, tx: &mut Tx, job: &Job, now: Timestamp) -> Result<(), StoreError> {
        match self {
            JobEnd::Done => store::job::finish(tx, job.id, now).await,
            JobEnd::Again { message } if job.attempts < MAX_ATTEMPTS => {
                store::job::retry(tx, job.id, now.plus(pause(job.attempts)), message).await
            }
            JobEnd::Again { message } => {
                let message = format!("given up after {} attempts: {message}", job.attempts);
                store::job::bury(tx, job.id, now, &message).await
            }
            JobEnd::Never(problem) => store::job::bury(tx, job.id, now, &problem.to_string()).await,
        }
    }
}

/// One second, then twice as long each time.
fn pause(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(10);
    Duration::from_secs(1 << doublings).min(MAX_PAUSE)
}

impl Control {
    /// When a job that is taken now is due again if nothing is heard of it.
    #[must_use]
    pub fn job_taken_until(&self, now: Timestamp) -> Timestamp {
        now.plus(ATTEMPT_TAKES_AT_MOST)
    }

    /// Tries a job once. Whoever calls this stores the end with [`JobEnd::record`].
    pub async fn perform_job(&self, job: &Job) -> JobEnd {
        let order = match serde_json::from_value::<Order>(job.payload.clone()) {
            Ok(order) => order,
            Err(error) => return JobEnd::Never(Problem::internal(&error)),
        };
        let access = match self.access(job.cluster).await {
            Ok(access) => access,
            Err(problem @ Problem::Gone { .. }) => return JobEnd::Never(problem),
            Err(problem) => return JobEnd::Again { message: problem.to_string() },
        };
        let brokers = &self.inner.brokers;
        let result = match &order {
            Order::Create(spec) => brokers.create_topic(&access, spec).await,
            Order::Configure { name, config } => brokers.configure_topic(&access, name, config).await,
            Order::Delete { name } => brokers.delete_topic(&access, name).await,
        };
        judge(&order, job.attempts, result)
    }
}

fn judge(order: &Order, attempts: i32, result: Result<(), BrokersError>) -> JobEnd {
    match (order, result) {
        (_, Ok(())) => JobEnd::Done,
        (Order::Create(_), Err(BrokersError::TopicExists)) if attempts > 1 => JobEnd::Done,
        (Order::Delete { .. }, Err(BrokersError::TopicMissing)) => JobEnd::Done,
        (_, Err(BrokersError::Unreachable { detail })) => {
            JobEnd::Again { message: format!("the brokers could not be reached: {detail}") }
        }
        (order, Err(BrokersError::TopicExists)) => {
            JobEnd::Never(Problem::NameTaken { what: "topic", name: order.topic().to_owned() })
        }
        (order, Err(BrokersError::TopicMissing)) => JobEnd::Never(Problem::not_found("topic", order.topic())),
        (_, Err(BrokersError::Refused { message })) => JobEnd::Never(Problem::Refused { message }),
    }
}

/// What a failed question to the brokers is to whoever asked.
pub(super) fn problem(error: BrokersError) -> Problem {
    match error {
        BrokersError::Unreachable { detail } => Problem::brokers_away(detail),
        BrokersError::Refused { message } => Problem::Refused { message },
        other => Problem::internal(&other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<u64> = (1..=8).map(|attempts| pause(attempts).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_lost_answer_is_made_up_for_by_the_next_attempt() {
        let create = Order::Create(TopicSpec {
            name: "a".to_owned(),
            partitions: 1,
            replication_factor: 1,
            config: BTreeMap::new(),
        });
        let delete = Order::Delete { name: "a".to_owned() };
        assert!(matches!(judge(&create, 1, Err(BrokersError::TopicExists)), JobEnd::Never(_)));
        assert!(matches!(judge(&create, 2, Err(BrokersError::TopicExists)), JobEnd::Done));
        assert!(matches!(judge(&delete, 1, Err(BrokersError::TopicMissing)), JobEnd::Done));
    }

    #[test]
    fn orders_are_stored_under_stable_names() {
        let delete = Order::Delete { name: "a".to_owned() };
        assert_eq!(
            serde_json::to_value(&delete).unwrap(),
            serde_json::json!({"order": "delete", "name": "a"})
        );
        assert_eq!((delete.kind(), delete.subject()), ("topic.delete", "topic/a".to_owned()));
    }
}
