//! Topics: making, growing, deleting, settings of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::Str;
use uuid::Uuid;

use super::{ChangeError, Controller, check_name};
use crate::config::TopicConfig;
use crate::internal_topic::is_internal;
use crate::metadata::image::Image;
use crate::metadata::record::Record;
use crate::partition::Partition;
use crate::topics::{Settings, Topic};

/// A topic to be made.
#[derive(Clone, Debug)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Number of partitions.
    pub partitions: i32,
    /// What is set for it.
    pub settings: BTreeMap<String, String>,
}

/// Bounds on what exists.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of one topic.
    pub max_partitions_per_topic: i32,
    /// Of all topics.
    pub max_partitions: usize,
}

impl Controller {
    /// Fills the registry with the topics of an image.
    pub(super) fn register_all(&self, image: &Image) {
        let defaults = &self.live.now().topic_defaults;
        for (name, topic) in &image.topics {
            let effective = defaults.with(&topic.settings).unwrap_or_else(|error| {
                tracing::error!(topic.name = %name, %error, "a stored topic setting is not understood; defaults apply");
                defaults.clone()
            });
            let settings = self.settings(topic.settings.clone(), effective);
            self.register(Str::from(name), topic.id, topic.since, settings, topic.partitions);
        }
    }

    fn leader_epoch(&self, since: i32) -> i32 {
        self.unclean_starts - since
    }

    /// What is in force where `own` is set.
    pub(crate) fn settings(&self, own: BTreeMap<String, String>, effective: TopicConfig) -> Settings {
        let log = Arc::new(self.storage.log_config(&effective));
        Settings { own, effective, log }
    }

    fn partition(&self, name: &Str, id: Uuid, since: i32, settings: &Settings, index: i32) -> Arc<Partition> {
        let (epoch, storage) = (self.leader_epoch(since), Arc::clone(&self.storage));
        let log = Arc::clone(&settings.log);
        Arc::new(Partition::new(name.clone(), id, index, epoch, &settings.effective, log, storage))
    }

    fn register(&self, name: Str, id: Uuid, since: i32, settings: Settings, partitions: i32) -> Arc<Topic> {
        let partitions =
            (0..partitions).map(|index| self.partition(&name, id, since, &settings, index)).collect();
        let topic = Arc::new(Topic::new(name, id, since, settings, partitions));
        self.topics.insert(Arc::clone(&topic));
        topic
    }

    /// Checks a topic that would be made, without making it.
    ///
    /// # Errors
    /// Says what forbids it.
    pub fn check(&self, new: &NewTopic<'_>) -> Result<TopicConfig, ChangeError> {
        check_name(new.name)?;
        if self.topics.by_name(new.name).is_some() {
            return Err(ChangeError::Exists(new.name.to_owned()));
        }
        if let Some(other) = self.topics.colliding(new.name) {
            return Err(ChangeError::Collides { name: new.name.to_owned(), other: other.to_string() });
        }
        self.check_count(new.partitions, new.partitions)?;
        Ok(self.live.now().topic_defaults.with(&new.settings)?)
    }

    fn check_count(&self, count: i32, more: i32) -> Result<(), ChangeError> {
        if count < 1 {
            return Err(ChangeError::Partitions("the number of partitions must be at least 1".to_owned()));
        }
        let Bounds { max_partitions_per_topic, max_partitions } = self.bounds;
        if count > max_partitions_per_topic {
            return Err(ChangeError::Partitions(format!(
                "{count} partitions are above penstock.max.partitions.per.topic={max_partitions_per_topic}"
            )));
        }
        let (_, existing) = self.topics.counts();
        if existing + usize::try_from(more).unwrap_or(0) > max_partitions {
            return Err(self.refused("partitions", format!(
                "{more} partitions more than the {existing} there are would be above penstock.max.partitions={max_partitions}"
            )));
        }
        Ok(())
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// Says what forbids it; nothing was made then.
    pub fn create_topic(&self, new: NewTopic<'_>) -> Result<Arc<Topic>, ChangeError> {
        let mut state = self.lock();
        let effective = self.check(&new)?;
        let id = Uuid::new_v4();
        let since = self.unclean_starts;
        let NewTopic { name, partitions, settings } = new;
        let record =
            Record::Topic { name: name.to_owned(), id, partitions, since, settings: settings.clone() };
        self.write(&mut state, record)?;
        let settings = self.settings(settings, effective);
        let topic = self.register(Str::from(name), id, since, settings, partitions);
        drop(state);
        self.count();
        tracing::info!(topic.name = name, topic.id = %id, partitions, "created a topic");
        Ok(topic)
    }

    /// Deletes a topic; its files go in the background.
    ///
    /// # Errors
    /// If there is none or the journal cannot be written.
    pub fn delete_topic(&self, name: &str) -> Result<Arc<Topic>, ChangeError> {
        if is_internal(name) {
            return Err(ChangeError::Internal { name: name.to_owned(), what: "cannot be deleted" });
        }
        let mut state = self.lock();
        if self.topics.by_name(name).is_none() {
            return Err(ChangeError::NoTopic(name.to_owned()));
        }
        self.write(&mut state, Record::TopicGone { name: name.to_owned() })?;
        let topic = self.topics.remove(name).ok_or_else(|| ChangeError::NoTopic(name.to_owned()))?;
        // Still under the lock: a topic of the same name may be made next and must find no directory.
        for partition in topic.partitions().iter() {
            partition.delete();
        }
        drop(state);
        self.count();
        tracing::info!(topic.name = name, topic.id = %topic.id, "deleted a topic");
        Ok(topic)
    }

    /// Gives a topic more partitions.
    ///
    /// # Errors
    /// Says what forbids it; nothing changed then.
    pub fn grow_topic(&self, name: &str, count: i32, dry_run: bool) -> Result<(), ChangeError> {
        if is_internal(name) {
            // Which partition keeps a group follows from the number of partitions.
            let what = "keeps its number of partitions";
            return Err(ChangeError::Internal { name: name.to_owned(), what });
        }
        let mut state = self.lock();
        let topic = self.topics.by_name(name).ok_or_else(|| ChangeError::NoTopic(name.to_owned()))?;
        let existing = topic.partition_count();
        if count <= existing {
            let problem = format!("topic `{name}` has {existing} partitions; {count} would not be more");
            return Err(ChangeError::Partitions(problem));
        }
        self.check_count(count, count - existing)?;
        if dry_run {
            return Ok(());
        }
        self.write(&mut state, Record::Partitions { name: name.to_owned(), count })?;
        let settings = topic.settings();
        let mut partitions = topic.partitions().to_vec();
        for index in existing..count {
            partitions.push(self.partition(&topic.name, topic.id, topic.since, &settings, index));
        }
        topic.set_partitions(partitions);
        self.topics.grown(usize::try_from(count - existing).unwrap_or(0));
        drop(state);
        self.count();
        Ok(())
    }

    /// Replaces what is set for a topic by what `change` makes of it.
    ///
    /// # Errors
    /// Says what forbids it; nothing changed then.
    pub fn change_topic_settings<E: From<ChangeError>>(
        &self,
        name: &str,
        dry_run: bool,
        change: impl FnOnce(&Settings) -> Result<BTreeMap<String, String>, E>,
    ) -> Result<(), E> {
        let mut state = self.lock();
        let topic = self.topics.by_name(name).ok_or_else(|| ChangeError::NoTopic(name.to_owned()))?;
        let own = change(&topic.settings())?;
        let effective = self.live.now().topic_defaults.with(&own).map_err(ChangeError::from)?;
        if dry_run {
            return Ok(());
        }
        self.write(&mut state, Record::TopicSettings { name: name.to_owned(), settings: own.clone() })?;
        topic.set_settings(self.settings(own, effective));
        Ok(())
    }
}
