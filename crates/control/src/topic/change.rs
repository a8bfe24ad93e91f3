//! Changing topics: look at the brokers, check against the plan, store a job, try it at once.

use model::{JobId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::job::Job;
use store::{Constraint, StoreError, Tx};

use super::job::{ATTEMPT_TAKES_AT_MOST, JobEnd, Order, problem};
use super::{NewTopic, Topic, TopicChange, TopicState, last_of_each, limits, merge, policy};
use crate::audit::Entry;
use crate::brokers::TopicSeen;
use crate::caller::Caller;
use crate::idempotency::Request;
use crate::problem::Problem;
use crate::{Control, Resource, ResourceRef, resource};

/// Clocks of several servers differ by less than this; a topic that was made while the brokers were being asked is
/// found among the jobs that ended so shortly before.
const CLOCK_SKEW_MS: i64 = 2_000;

/// What an idempotency key remembers of a new topic.
#[derive(Serialize, Deserialize)]
struct Made {
    topic: String,
}

impl Control {
    /// Makes a topic. If the brokers do not answer in time it is still made later; its state says so.
    pub async fn create_topic(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
        wanted: &NewTopic,
        idempotency_key: Option<&str>,
    ) -> Result<Topic, Problem> {
        let request = Request::new(idempotency_key, "create_topic", &(reference.to_string(), wanted))?;
        let (resource, seen, asked_at) = self.look(caller, reference).await?;
        let spec = limits::specify(&resource.plan, wanted)?;

        let mut tx = self.begin().await?;
        if let Some(made) = self.claim::<Made>(&mut tx, caller, &request).await? {
            drop(tx);
            return self.topic(caller, reference, &made.topic).await;
        }
        let resource = resource::find_locked(&mut tx, caller, &resource.id.into()).await?;
        resource.usable()?;
        let present = present(&mut tx, &resource, seen, asked_at).await?;
        if present.iter().any(|topic| topic.name == spec.name) {
            return Err(Problem::NameTaken { what: "topic", name: spec.name });
        }
        let sizes = present.iter().filter(|topic| !topic.internal);
        limits::check_room(
            &resource.plan,
            sizes.map(|topic| (topic.partitions, topic.replication_factor)),
            &spec,
        )?;
        let order = Order::Create(spec.clone());
        let job = self.insert_job(&mut tx, caller, &resource, &order).await?;
        self.remember(&mut tx, caller, &request, &Made { topic: spec.name.clone() }).await?;
        tx.commit().await?;

        let message = self.try_at_once(&job).await?;
        Ok(Topic {
            name: spec.name,
            partitions: if message.is_none() { spec.partitions } else { 0 },
            replication_factor: spec.replication_factor,
            retention_ms: policy::retention_ms(&spec.config),
            compaction: policy::compaction(&spec.config),
            state: if message.is_none() { TopicState::Ready } else { TopicState::Creating },
            message,
            internal: false,
        })
    }

    /// Changes a topic's retention or compaction.
    pub async fn update_topic(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
        name: &str,
        wanted: &TopicChange,
    ) -> Result<Topic, Problem> {
        let (resource, seen, asked_at) = self.look(caller, reference).await?;
        let mut tx = self.begin().await?;
        let resource = resource::find_locked(&mut tx, caller, &resource.id.into()).await?;
        resource.usable()?;
        let current = existing(present(&mut tx, &resource, seen, asked_at).await?, name)?;
        let (retention_ms, compaction) = limits::change(&resource.plan, &current, wanted)?;
        let order =
            Order::Configure { name: name.to_owned(), config: policy::config(retention_ms, compaction) };
        let job = self.insert_job(&mut tx, caller, &resource, &order).await?;
        tx.commit().await?;
        let message = self.try_at_once(&job).await?;
        Ok(Topic { retention_ms, compaction, message, ..current })
    }

    /// Deletes a topic with its records. The answer shows it as being deleted; soon it is in no list any more.
    pub async fn delete_topic(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
        name: &str,
    ) -> Result<Topic, Problem> {
        let (resource, seen, asked_at) = self.look(caller, reference).await?;
        let mut tx = self.begin().await?;
        let resource = resource::find_locked(&mut tx, caller, &resource.id.into()).await?;
        resource.usable()?;
        let current = existing(present(&mut tx, &resource, seen, asked_at).await?, name)?;
        let job =
            self.insert_job(&mut tx, caller, &resource, &Order::Delete { name: name.to_owned() }).await?;
        tx.commit().await?;
        let message = self.try_at_once(&job).await?;
        Ok(Topic { state: TopicState::Deleting, message, ..current })
    }

    /// The resource, if it can be used, and the topics that its brokers have at a time.
    async fn look(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
    ) -> Result<(Resource, Vec<TopicSeen>, Timestamp), Problem> {
        let resource = self.resource(caller, reference).await?;
        resource.usable()?;
        let access = self.access(resource.cluster).await?;
        let asked_at = self.now();
        let seen = self.inner.brokers.topics(&access).await.map_err(problem)?;
        Ok((resource, seen, asked_at))
    }

    /// Stores a job that this process is about to try, with its audit event.
    async fn insert_job(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        resource: &Resource,
        order: &Order,
    ) -> Result<Job, Problem> {
        let now = self.now();
        let job = Job {
            id: JobId(self.draw_id(now)),
            cluster: resource.cluster,
            subject: order.subject(),
            kind: order.kind().to_owned(),
            payload: serde_json::to_value(order).map_err(|error| Problem::internal(&error))?,
            attempts: 1,
            created_at: now,
        };
        store::job::insert_taken(tx, &job, now.plus(ATTEMPT_TAKES_AT_MOST)).await.map_err(
            |error| match error {
                StoreError::Violates(Constraint::JobSubject) => Problem::Busy {
                    message: format!("another change of topic {:?} is under way", order.topic()),
                },
                other => other.into(),
            },
        )?;
        let entry = Entry::new(order.kind(), order.topic())
            .on(resource)
            .detail(json!({ "job": job.id, "order": order }));
        self.audit_entry(tx, caller, entry).await?;
        Ok(job)
    }

    /// Tries a job right away. An error if it can never work; a message if it will be tried again.
    async fn try_at_once(&self, job: &Job) -> Result<Option<String>, Problem> {
        let end = self.perform_job(job).await;
        let recorded = async {
            let mut tx = self.inner.store.begin().await?;
            end.record(&mut tx, job, self.now()).await?;
            store::wake::reconciler(&mut tx).await?;
            tx.commit().await
        };
        if let Err(error) = recorded.await {
            // Nothing is lost: the job becomes due again, and doing it twice does no harm.
            tracing::info!(job.id = %job.id, %error, "a job's end could not be stored; it will be tried again");
        }
        match end {
            JobEnd::Done => Ok(None),
            JobEnd::Again { message } => Ok(Some(message)),
            JobEnd::Never(problem) => Err(problem),
        }
    }
}

/// The topics that count: those that the brokers have, those that are being made, and those that were made since the
/// brokers were asked. The resource must be locked, so that no other can be added meanwhile.
async fn present(
    tx: &mut Tx,
    resource: &Resource,
    seen: Vec<TopicSeen>,
    asked_at: Timestamp,
) -> Result<Vec<Topic>, Problem> {
    let since = Timestamp(asked_at.0 - CLOCK_SKEW_MS);
    let jobs = store::job::recent(tx, resource.cluster, since).await?;
    let mut topics = merge(seen, &jobs);
    topics.retain(|topic| topic.state != TopicState::Failed);
    for job in last_of_each(&jobs) {
        let Ok(Order::Create(spec)) = serde_json::from_value(job.payload.clone()) else { continue };
        match topics.iter_mut().find(|topic| topic.name == spec.name) {
            // Shown with no partitions while it is being made, but they are spoken for.
            Some(topic) if topic.state == TopicState::Creating => topic.partitions = spec.partitions,
            None if job.state == store::job::State::Done => topics.push(Topic {
                state: TopicState::Ready,
                partitions: spec.partitions,
                ..Topic::unmade(spec, job)
            }),
            _ => {}
        }
    }
    Ok(topics)
}

fn existing(topics: Vec<Topic>, name: &str) -> Result<Topic, Problem> {
    let topic = topics
        .into_iter()
        .find(|topic| topic.name == name && topic.state != TopicState::Creating)
        .ok_or_else(|| Problem::not_found("topic", name))?;
    if topic.internal {
        return Err(Problem::invalid(
            "name",
            format!("topic {name:?} is the brokers' own and is left alone"),
        ));
    }
    Ok(topic)
}
