//! Topics, with brokers that answer, are away, and lose answers.

use super::World;
use super::brokers::Mood;
use crate::{Caller, JobEnd, NewTopic, Problem, ResourceRef, Retention, Topic, TopicChange, TopicState};

fn topic(name: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(4),
        replication_factor: None,
        retention_ms: None,
        compaction: false,
    }
}

impl World {
    async fn create(&self, caller: &Caller, resource: &ResourceRef, name: &str) -> Result<Topic, Problem> {
        self.control.create_topic(caller, resource, &topic(name), None).await
    }

    async fn listed(&self, caller: &Caller, resource: &ResourceRef) -> Vec<(String, u32, TopicState)> {
        let topics = self.control.cluster_info(caller, resource).await.unwrap().topics;
        topics.into_iter().map(|topic| (topic.name, topic.partitions, topic.state)).collect()
    }

    /// Carries out the next job that is due, as the reconciler does.
    async fn run_a_job(&self) -> Option<JobEnd> {
        let now = self.now();
        let mut tx = self.store.begin().await.unwrap();
        let job = store::job::take_due(&mut tx, now, self.control.job_taken_until(now)).await.unwrap()?;
        tx.commit().await.unwrap();
        let end = self.control.perform_job(&job).await;
        let mut tx = self.store.begin().await.unwrap();
        end.record(&mut tx, &job, now).await.unwrap();
        tx.commit().await.unwrap();
        Some(end)
    }
}

#[tokio::test]
async fn topics_are_made_changed_listed_and_deleted() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let resource = world.ready(&caller, "orders").await;
    let made = world.create(&caller, &resource, "flights").await.unwrap();
    assert_eq!((made.partitions, made.state, made.retention_ms), (4, TopicState::Ready, Some(86_400_000)));
    assert_eq!(world.control.topic(&caller, &resource, "flights").await.unwrap(), made);
    assert!(matches!(
        world.create(&caller, &resource, "flights").await,
        Err(Problem::NameTaken { what: "topic", .. })
    ));

    let change = TopicChange {
        retention: Some(Retention::Unlimited),
        compaction: Some(true),
        replication_factor: None,
    };
    let changed = world.control.update_topic(&caller, &resource, "flights", &change).await.unwrap();
    assert_eq!((changed.retention_ms, changed.compaction), (None, true));
    assert_eq!(world.brokers.config("flights")["cleanup.policy"], "compact");

    let info = world.control.cluster_info(&caller, &resource).await.unwrap();
    assert_eq!((info.partition_replicas, info.data_size_bytes, info.reachable), (4, Some(1_000), true));
    let deleted = world.control.delete_topic(&caller, &resource, "flights").await.unwrap();
    assert_eq!(deleted.state, TopicState::Deleting);
    assert_eq!(world.control.topics(&caller, &resource).await.unwrap(), []);
    let gone = world.control.delete_topic(&caller, &resource, "flights").await;
    assert!(matches!(gone, Err(Problem::NotFound { what: "topic", .. })));
    // A name is free at once.
    world.create(&caller, &resource, "flights").await.unwrap();
    assert_eq!(
        world.trail(&caller).await[2..],
        ["topic.create flights", "topic.configure flights", "topic.delete flights", "topic.create flights"]
    );
}

#[tokio::test]
async fn before_the_brokers_are_ready_the_answer_says_to_wait() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    world.accept(&caller, "orders").await;
    let resource = ResourceRef::from("orders");
    let early = world.create(&caller, &resource, "flights").await.unwrap_err();
    assert!(matches!(early, Problem::NotReady { .. }), "{early}");
    assert!(early.to_string().starts_with("orders is not ready: "), "{early}");
    let info = world.control.cluster_info(&caller, &resource).await.unwrap();
    assert_eq!((info.topics, info.data_size_bytes, info.reachable), (vec![], None, false));
}

#[tokio::test]
async fn a_lost_answer_leaves_a_topic_that_is_made_by_and_by_and_only_once() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let resource = world.ready(&caller, "orders").await;
    world.brokers.be(Mood::LosingAnswers);
    let made = world.create(&caller, &resource, "flights").await.unwrap();
    assert_eq!((made.state, made.partitions), (TopicState::Creating, 0));
    let second = world.control.delete_topic(&caller, &resource, "flights").await;
    assert!(matches!(second, Err(Problem::Busy { .. })), "{second:?}");

    world.brokers.be(Mood::Well);
    assert!(world.run_a_job().await.is_none(), "it is not due yet");
    world.pass(2);
    assert!(matches!(world.run_a_job().await, Some(JobEnd::Done)));
    assert_eq!(world.listed(&caller, &resource).await, [("flights".to_owned(), 4, TopicState::Ready)]);
    assert_eq!(world.brokers.orders(), 2);
}

#[tokio::test]
async fn while_the_brokers_are_away_nothing_is_half_made() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let resource = world.ready(&caller, "orders").await;
    world.brokers.be(Mood::Away);
    let away = world.create(&caller, &resource, "flights").await.unwrap_err();
    assert!(matches!(away, Problem::Unavailable { what: "brokers", .. }), "{away}");
    world.pass(60);
    assert!(world.run_a_job().await.is_none());
    assert_eq!(world.trail(&caller).await.len(), 2, "only account and resource");
}

#[tokio::test]
async fn a_job_that_never_works_is_given_up_and_says_why() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let resource = world.ready(&caller, "orders").await;
    world.brokers.be(Mood::LosingAnswers);
    world.create(&caller, &resource, "flights").await.unwrap();
    world.brokers.be(Mood::Away);
    let mut attempts = 1;
    while attempts < 25 {
        world.pass(61);
        match world.run_a_job().await {
            Some(_) => attempts += 1,
            None => break,
        }
    }
    assert_eq!(attempts, 20);
    let topics = world.control.cluster_info(&caller, &resource).await.unwrap().topics;
    assert_eq!(topics[0].state, TopicState::Failed);
    assert!(topics[0].message.as_ref().unwrap().starts_with("given up after 20 attempts"));
    world.pass(3_600);
    assert_eq!(world.listed(&caller, &resource).await, []);
}

#[tokio::test]
async fn creations_at_the_same_time_do_not_pass_the_limit_together() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let resource = world.ready(&caller, "orders").await;
    // 1000 partition replicas: room for four topics of 250, not for six.
    let wanted: Vec<NewTopic> =
        (0..6).map(|number| NewTopic { partitions: Some(250), ..topic(&format!("t{number}")) }).collect();
    let attempts = wanted.iter().map(|topic| world.control.create_topic(&caller, &resource, topic, None));
    let outcomes = futures_util::future::join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 4);
    for problem in outcomes.into_iter().filter_map(Result::err) {
        assert!(
            matches!(problem, Problem::LimitExceeded { limit: "max_partition_replicas", .. }),
            "{problem:?}"
        );
    }
    assert_eq!(world.brokers.names().len(), 4);
}

#[tokio::test]
async fn a_topic_with_a_key_is_made_once() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let resource = world.ready(&caller, "orders").await;
    let make =
        async |name: &str| world.control.create_topic(&caller, &resource, &topic(name), Some("k")).await;
    assert_eq!(make("flights").await.unwrap(), make("flights").await.unwrap());
    assert_eq!(world.brokers.orders(), 1);
    assert!(matches!(make("trains").await, Err(Problem::IdempotencyConflict { .. })));
}

#[tokio::test]
async fn a_worker_that_dies_leaves_its_job_to_the_next() {
    let world = World::new().await;
    let caller = world.tenant("acme").await;
    let resource = world.ready(&caller, "orders").await;
    world.brokers.be(Mood::LosingAnswers);
    world.create(&caller, &resource, "flights").await.unwrap();
    world.brokers.be(Mood::Well);
    world.pass(2);
    // Taken, and never heard of again.
    let (now, mut tx) = (world.now(), world.store.begin().await.unwrap());
    let until = world.control.job_taken_until(now);
    assert!(store::job::take_due(&mut tx, now, until).await.unwrap().is_some());
    tx.commit().await.unwrap();
    assert!(world.run_a_job().await.is_none());
    world.clock.store(until.0, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(world.run_a_job().await, Some(JobEnd::Done)));
}
