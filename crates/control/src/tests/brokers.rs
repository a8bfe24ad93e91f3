//! Brokers that do as they are told: answer, be away, or do the work and lose the answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::{Access, Brokers, BrokersError, TopicSeen, TopicSpec};

/// How they behave towards orders. Questions are only refused by `Away`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Well,
    Away,
    LosingAnswers,
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    topics: BTreeMap<String, TopicSeen>,
    orders: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Pretended {
    state: Arc<Mutex<State>>,
}

impl Pretended {
    pub(super) fn be(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.lock().topics.keys().cloned().collect()
    }

    pub(super) fn config(&self, topic: &str) -> BTreeMap<String, String> {
        self.lock().topics[topic].config.clone()
    }

    /// How many orders reached them.
    pub(super) fn orders(&self) -> u32 {
        self.lock().orders
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, work: impl FnOnce(&mut State) -> Result<(), BrokersError>) -> Result<(), BrokersError> {
        let mut state = self.lock();
        if state.mood == Mood::Away {
            return Err(away());
        }
        state.orders += 1;
        let done = work(&mut state);
        if state.mood == Mood::LosingAnswers { Err(away()) } else { done }
    }
}

fn away() -> BrokersError {
    BrokersError::Unreachable { detail: "away, as the test wants it".to_owned() }
}

impl Brokers for Pretended {
    fn topics<'a>(&'a self, _: &'a Access) -> BoxFuture<'a, Result<Vec<TopicSeen>, BrokersError>> {
        let state = self.lock();
        let answer =
            if state.mood == Mood::Away { Err(away()) } else { Ok(state.topics.values().cloned().collect()) };
        async { answer }.boxed()
    }

    fn stored_bytes<'a>(&'a self, _: &'a Access) -> BoxFuture<'a, Result<u64, BrokersError>> {
        let state = self.lock();
        let answer =
            if state.mood == Mood::Away { Err(away()) } else { Ok(1_000 * state.topics.len() as u64) };
        async { answer }.boxed()
    }

    fn create_topic<'a>(
        &'a self,
        _: &'a Access,
        topic: &'a TopicSpec,
    ) -> BoxFuture<'a, Result<(), BrokersError>> {
        let done = self.order(|state| {
            if state.topics.contains_key(&topic.name) {
                return Err(BrokersError::TopicExists);
            }
            let seen = TopicSeen {
                name: topic.name.clone(),
                partitions: topic.partitions,
                replication_factor: topic.replication_factor,
                internal: false,
                config: topic.config.clone(),
            };
            state.topics.insert(topic.name.clone(), seen);
            Ok(())
        });
        async { done }.boxed()
    }

    fn configure_topic<'a>(
        &'a self,
        _: &'a Access,
        name: &'a str,
        config: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<(), BrokersError>> {
        let done = self.order(|state| {
            let topic = state.topics.get_mut(name).ok_or(BrokersError::TopicMissing)?;
            topic.config.extend(config.clone());
            Ok(())
        });
        async { done }.boxed()
    }

    fn delete_topic<'a>(&'a self, _: &'a Access, name: &'a str) -> BoxFuture<'a, Result<(), BrokersError>> {
        let done =
            self.order(|state| state.topics.remove(name).map(|_| ()).ok_or(BrokersError::TopicMissing));
        async { done }.boxed()
    }
}
