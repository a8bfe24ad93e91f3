//! The registry of topics that requests look things up in.
//!
//! Reads take a shared lock for one map lookup and leave with an `Arc`; changes come only from the metadata
//! controller. A topic that is deleted while a request holds it answers that request with an error from its closed
//! partitions, never with somebody else's records.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use log::LogConfig;
use protocol::Str;
use uuid::Uuid;

use crate::config::TopicConfig;
use crate::internal_topic;
use crate::partition::Partition;

/// What is set for a topic, and what is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Set for this topic.
    pub own: BTreeMap<String, String>,
    /// The same, laid over the broker's defaults.
    pub effective: TopicConfig,
    /// The log's view of that; one value shared by all partitions.
    pub log: Arc<LogConfig>,
}

/// A topic.
pub struct Topic {
    /// Its name; [`Str::detached`] from any frame.
    pub name: Str,
    /// Its id.
    pub id: Uuid,
    /// The count of unclean starts when it was made.
    pub since: i32,
    settings: RwLock<Arc<Settings>>,
    partitions: RwLock<Arc<[Arc<Partition>]>>,
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    // Every critical section replaces one value or works on maps that stay valid, so a panic elsewhere harms nothing.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Topic {
    /// A topic with these partitions.
    #[must_use]
    pub fn new(
        name: Str,
        id: Uuid,
        since: i32,
        settings: Settings,
        partitions: Vec<Arc<Partition>>,
    ) -> Topic {
        let (settings, partitions) = (RwLock::new(Arc::new(settings)), RwLock::new(partitions.into()));
        Topic { name, id, since, settings, partitions }
    }

    /// Whether clients may not change it.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        internal_topic::is_internal(&self.name)
    }

    /// What is in force now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&read(&self.settings))
    }

    /// All partitions, in order.
    #[must_use]
    pub fn partitions(&self) -> Arc<[Arc<Partition>]> {
        Arc::clone(&read(&self.partitions))
    }

    /// One partition.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        read(&self.partitions).get(index).cloned()
    }

    /// How many there are.
    #[must_use]
    pub fn partition_count(&self) -> i32 {
        // Bounded by a setting of type i32 when they are made.
        i32::try_from(read(&self.partitions).len()).unwrap_or(i32::MAX)
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        let settings = Arc::new(settings);
        *write(&self.settings) = Arc::clone(&settings);
        for partition in self.partitions().iter() {
            partition.reconfigure(&settings.effective, &settings.log);
        }
    }

    pub(crate) fn set_partitions(&self, partitions: Vec<Arc<Partition>>) {
        *write(&self.partitions) = partitions.into();
    }
}

#[derive(Default)]
struct Maps {
    by_name: HashMap<Str, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
    /// Names that contain `.` or `_`, by what they would be with `_` alone.
    by_plain: HashMap<String, Str>,
    partitions: usize,
}

/// The form in which two names collide, for names that can.
fn plain(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

/// All topics.
#[derive(Default)]
pub struct Topics {
    maps: RwLock<Maps>,
}

impl Topics {
    /// The topic of that name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        read(&self.maps).by_name.get(name).cloned()
    }

    /// The topic of that id.
    #[must_use]
    pub fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        read(&self.maps).by_id.get(&id).cloned()
    }

    /// All topics, sorted by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Topic>> {
        let mut all: Vec<_> = read(&self.maps).by_name.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// How many topics and partitions there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let maps = read(&self.maps);
        (maps.by_name.len(), maps.partitions)
    }

    /// A name that differs from `name` only in `.` and `_`: both would be one metric name in Kafka's world, so Kafka
    /// refuses the second.
    #[must_use]
    pub fn colliding(&self, name: &str) -> Option<Str> {
        let maps = read(&self.maps);
        maps.by_plain.get(&plain(name)?).filter(|other| other.as_str() != name).cloned()
    }

    pub(crate) fn insert(&self, topic: Arc<Topic>) {
        let count = topic.partitions().len();
        let mut maps = write(&self.maps);
        maps.partitions += count;
        if let Some(plain) = plain(&topic.name) {
            maps.by_plain.insert(plain, topic.name.clone());
        }
        maps.by_id.insert(topic.id, Arc::clone(&topic));
        maps.by_name.insert(topic.name.clone(), topic);
    }

    pub(crate) fn remove(&self, name: &str) -> Option<Arc<Topic>> {
        let mut maps = write(&self.maps);
        let topic = maps.by_name.remove(name)?;
        maps.by_id.remove(&topic.id);
        if let Some(plain) = plain(name) {
            maps.by_plain.remove(&plain);
        }
        maps.partitions -= topic.partitions().len();
        Some(topic)
    }

    pub(crate) fn grown(&self, by: usize) {
        write(&self.maps).partitions += by;
    }
}
