//! Makes changes: checks them, writes them down, applies them.
//!
//! All changes pass one lock, held for a check, an append to the journal (page cache) and the update of the registry.
//! Who must not answer before a change is safe waits for [`Controller::sync`] afterwards, outside the lock; changes
//! that arrive together share a sync. A change is visible to others a moment before it is safe; if the machine dies in
//! that moment nobody was told that it succeeded.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{ErrorCode, Str};
use uuid::Uuid;

use super::image::Image;
use super::journal::Journal;
use super::record::{Record, SettingsOf};
use crate::config::live::Overrides;
use crate::config::topic::TopicConfigError;
use crate::config::{Config, ConfigError, Live, TopicConfig};
use crate::durable::Durable;
use crate::flush::{Flusher, Target};
use crate::metrics::Metrics;
use crate::partition::{Partition, Storage};
use crate::topics::{Settings, Topic, Topics};

/// Producer ids reserved with one record. A restart loses what is left of a block: of 2^63 nobody misses a thousand.
const PRODUCER_ID_BLOCK: i64 = 1_000;

/// Longest topic name, because it is also the name of a directory.
const NAME_MAX_CHARS: usize = 249;

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Not a name that a topic can have.
    #[error("topic name `{name}` is illegal: {reason}")]
    Name {
        /// The name.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// There is one already, or one that Kafka's metrics could not tell from it.
    #[error("topic `{0}` already exists")]
    Exists(String),
    /// See above.
    #[error("topic `{name}` collides with the existing topic `{other}`: they differ only in `.` and `_`")]
    Collides {
        /// The new one.
        name: String,
        /// The existing one.
        other: String,
    },
    /// There is none.
    #[error("there is no topic `{0}`")]
    NoTopic(String),
    /// The number of partitions cannot be.
    #[error("{0}")]
    Partitions(String),
    /// The number or place of replicas cannot be.
    #[error("{0}")]
    Replication(String),
    /// A setting cannot be.
    #[error(transparent)]
    Settings(#[from] TopicConfigError),
    /// A setting of the broker cannot be.
    #[error(transparent)]
    BrokerSettings(#[from] ConfigError),
    /// A bound of this broker is reached.
    #[error("{0}")]
    Limit(String),
    /// The journal could not be written.
    #[error("the change could not be written down: {0}")]
    Storage(#[source] io::Error),
}

impl ChangeError {
    /// How clients are told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ChangeError::Name { .. } | ChangeError::Collides { .. } => ErrorCode::InvalidTopicException,
            ChangeError::Exists(_) => ErrorCode::TopicAlreadyExists,
            ChangeError::NoTopic(_) => ErrorCode::UnknownTopicOrPartition,
            ChangeError::Partitions(_) => ErrorCode::InvalidPartitions,
            ChangeError::Replication(_) => ErrorCode::InvalidReplicationFactor,
            ChangeError::Settings(_) | ChangeError::BrokerSettings(_) => ErrorCode::InvalidConfig,
            ChangeError::Limit(_) => ErrorCode::PolicyViolation,
            ChangeError::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

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

struct State {
    journal: Journal,
    image: Image,
    /// Producer ids from here on are free up to `ids_safe_below`, which is on disk.
    next_producer_id: i64,
    ids_safe_below: i64,
}

/// The writer of metadata.
pub struct Controller {
    state: Mutex<State>,
    topics: Arc<Topics>,
    storage: Arc<Storage>,
    flusher: Arc<Flusher>,
    metrics: Arc<Metrics>,
    live: Live,
    bounds: Bounds,
    cluster_id: Str,
    unclean_starts: i32,
}

/// What the first records of a start need.
#[derive(Clone, Debug)]
pub struct Start {
    /// The configured cluster id.
    pub cluster_id: Option<String>,
    /// Whether the last stop was orderly (true for the first start).
    pub clean: bool,
}

impl Controller {
    /// Takes over journal and image, writes what this start changes, and fills the registry.
    ///
    /// # Errors
    /// If the journal cannot be written, or belongs to another cluster than the configured one.
    #[expect(clippy::too_many_arguments, reason = "called once, from the place where all of these are made")]
    pub fn start(
        mut journal: Journal,
        mut image: Image,
        start: &Start,
        topics: Arc<Topics>,
        storage: Arc<Storage>,
        flusher: Arc<Flusher>,
        metrics: Arc<Metrics>,
        config: Config,
        bounds: Bounds,
    ) -> io::Result<Controller> {
        let mut records = Vec::new();
        if image.cluster_id.is_empty() {
            let id = start.cluster_id.clone().unwrap_or_else(random_cluster_id);
            records.push(Record::Cluster { id });
        } else if let Some(wanted) = &start.cluster_id
            && *wanted != image.cluster_id
        {
            return Err(io::Error::other(format!(
                "the data directory belongs to cluster `{}`, not to `{wanted}` (cluster.id)",
                image.cluster_id
            )));
        }
        if !start.clean {
            records.push(Record::UncleanStart { count: image.unclean_starts + 1 });
        }
        let first = image.producer_ids_below;
        records.push(Record::ProducerIds { below: first + PRODUCER_ID_BLOCK });
        records.iter().cloned().for_each(|record| image.apply(record));
        image.gone.clear();
        // A fresh snapshot at each start: it is small, and what was deleted is forgotten with it.
        journal.rewrite(&image)?;
        let controller = Controller {
            cluster_id: Str::from(&image.cluster_id),
            unclean_starts: image.unclean_starts,
            state: Mutex::new(State {
                journal,
                next_producer_id: first,
                ids_safe_below: image.producer_ids_below,
                image: Image::default(),
            }),
            topics,
            storage,
            flusher,
            metrics,
            live: Live::new(config),
            bounds,
        };
        let (everywhere, here) =
            (controller.set_for(&image, ""), controller.set_for(&image, &controller.own_name()));
        match controller.live.with(&everywhere, &here) {
            Ok(config) => controller.live.replace(config),
            Err(error) => tracing::error!(%error,
                "a stored setting of the broker is not understood; what it was started with applies"),
        }
        let defaults = &controller.live.now().topic_defaults;
        for (name, topic) in &image.topics {
            let effective = defaults.with(&topic.settings).unwrap_or_else(|error| {
                tracing::error!(topic.name = %name, %error, "a stored topic setting is not understood; defaults apply");
                defaults.clone()
            });
            let settings = controller.settings(topic.settings.clone(), effective);
            controller.register(Str::from(name), topic.id, topic.since, settings, topic.partitions);
        }
        controller.lock().image = image;
        controller.count();
        Ok(controller)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between journal and image would leave them apart; both are plain memory operations on valid values,
        // so the state is as good as the journal says.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) {
        let (topics, partitions) = self.topics.counts();
        self.metrics.topics.set(i64::try_from(topics).unwrap_or(i64::MAX));
        self.metrics.partitions.set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }

    /// What clients see as the cluster id.
    #[must_use]
    pub fn cluster_id(&self) -> &Str {
        &self.cluster_id
    }

    /// How many changes this process has written, and so a number that grows with every change.
    #[must_use]
    pub fn record_count(&self) -> i64 {
        self.lock().journal.appended()
    }

    /// How often the broker came up without having gone down properly: the epoch of everything it leads.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.unclean_starts
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

    fn write(&self, state: &mut State, record: Record) -> Result<(), ChangeError> {
        state.journal.append(std::slice::from_ref(&record)).map_err(ChangeError::Storage)?;
        state.image.apply(record);
        if state.journal.wants_rewrite() {
            state.image.gone.clear();
            if let Err(error) = state.journal.rewrite(&state.image) {
                tracing::warn!(%error, "the metadata journal could not be rewritten; it goes on growing");
            }
        }
        Ok(())
    }

    /// A promise that every change made so far survives.
    pub fn sync(&self) -> Durable {
        let file: Arc<dyn Target> = self.lock().journal.file();
        self.flusher.flush(file)
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
            return Err(ChangeError::Limit(format!(
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
    pub fn change_topic_settings(
        &self,
        name: &str,
        dry_run: bool,
        change: impl FnOnce(&Settings) -> Result<BTreeMap<String, String>, ChangeError>,
    ) -> Result<(), ChangeError> {
        let mut state = self.lock();
        let topic = self.topics.by_name(name).ok_or_else(|| ChangeError::NoTopic(name.to_owned()))?;
        let own = change(&topic.settings())?;
        let effective = self.live.now().topic_defaults.with(&own)?;
        if dry_run {
            return Ok(());
        }
        self.write(&mut state, Record::TopicSettings { name: name.to_owned(), settings: own.clone() })?;
        topic.set_settings(self.settings(own, effective));
        Ok(())
    }

    /// The configuration in force: what the process was told, and what clients changed since.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.live.now()
    }

    /// Under which name this broker's own settings are kept.
    #[must_use]
    pub fn own_name(&self) -> String {
        self.live.now().node_id.to_string()
    }

    fn set_for(&self, image: &Image, name: &str) -> Overrides {
        image.settings.get(&(SettingsOf::Broker, name.to_owned())).cloned().unwrap_or_default()
    }

    /// Replaces what is set for this broker, or for all of them (`name` empty), by what `change` makes of it, and lets
    /// every topic without settings of its own follow.
    ///
    /// # Errors
    /// Says what forbids it; nothing changed then.
    pub fn change_broker_settings<E: From<ChangeError>>(
        &self,
        name: &str,
        dry_run: bool,
        change: impl FnOnce(&Overrides, &Config) -> Result<Overrides, E>,
    ) -> Result<(), E> {
        let mut state = self.lock();
        let set = change(&self.set_for(&state.image, name), &self.live.now())?;
        let other = |name: &str| self.set_for(&state.image, name);
        let config = match name {
            "" => self.live.with(&set, &other(&self.own_name())),
            _ => self.live.with(&other(""), &set),
        };
        let config = config.map_err(ChangeError::from)?;
        if dry_run {
            return Ok(());
        }
        let record = Record::Settings { kind: SettingsOf::Broker, name: name.to_owned(), settings: set };
        self.write(&mut state, record)?;
        if config.topic_defaults != self.live.now().topic_defaults {
            for topic in self.topics.all() {
                let own = topic.settings().own.clone();
                match config.topic_defaults.with(&own) {
                    Ok(effective) => topic.set_settings(self.settings(own, effective)),
                    Err(error) => tracing::error!(topic.name = %topic.name, %error,
                        "a stored topic setting is not understood; the topic keeps the settings it has"),
                }
            }
        }
        self.live.replace(config);
        Ok(())
    }

    /// What is set for something that is no topic.
    #[must_use]
    pub fn settings_of(&self, kind: SettingsOf, name: &str) -> BTreeMap<String, String> {
        self.lock().image.settings.get(&(kind, name.to_owned())).cloned().unwrap_or_default()
    }

    /// Names of all things of a kind that have settings.
    #[must_use]
    pub fn names_with_settings(&self, kind: SettingsOf) -> Vec<String> {
        self.lock()
            .image
            .settings
            .keys()
            .filter(|(of, _)| *of == kind)
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// All things of a kind that have settings, with these.
    #[must_use]
    pub fn all_settings_of(&self, kind: SettingsOf) -> BTreeMap<String, BTreeMap<String, String>> {
        let state = self.lock();
        let of_kind = state.image.settings.iter().filter(|((of, _), _)| *of == kind);
        of_kind.map(|((_, name), settings)| (name.clone(), settings.clone())).collect()
    }

    /// Replaces what is set for something that is no topic; empty forgets it.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn set_settings_of(
        &self,
        kind: SettingsOf,
        name: &str,
        settings: BTreeMap<String, String>,
    ) -> Result<(), ChangeError> {
        self.write(&mut self.lock(), Record::Settings { kind, name: name.to_owned(), settings })
    }

    /// A producer id that was never given out before and never will be again, not even after a crash.
    ///
    /// # Errors
    /// If the next block of ids cannot be made safe.
    pub async fn next_producer_id(&self) -> Result<i64, ErrorCode> {
        loop {
            let (below, durable) = match self.take_or_reserve_producer_id()? {
                Ok(id) => return Ok(id),
                Err(reserved) => reserved,
            };
            durable.wait().await?;
            let mut state = self.lock();
            state.ids_safe_below = state.ids_safe_below.max(below);
        }
    }

    /// An id if a safe one is left; otherwise writes down the next block and says what to wait for.
    fn take_or_reserve_producer_id(&self) -> Result<Result<i64, (i64, Durable)>, ErrorCode> {
        let mut state = self.lock();
        if state.next_producer_id < state.ids_safe_below {
            state.next_producer_id += 1;
            return Ok(Ok(state.next_producer_id - 1));
        }
        let below = state.ids_safe_below + PRODUCER_ID_BLOCK;
        if state.image.producer_ids_below < below {
            self.write(&mut state, Record::ProducerIds { below }).map_err(|error| {
                tracing::error!(%error, "no more producer ids");
                error.code()
            })?;
        }
        let file: Arc<dyn Target> = state.journal.file();
        Ok(Err((below, self.flusher.flush(file))))
    }
}

/// A cluster id as Kafka makes them: 16 random bytes in URL-safe base64 without padding.
fn random_cluster_id() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = Uuid::new_v4().as_u128();
    (0..22)
        .map(|at| {
            // 21 digits of six bits, and the last two bits in a digit of their own.
            let digit = if at < 21 { bits >> (122 - 6 * at) } else { bits << 4 };
            char::from(DIGITS[(digit & 63) as usize])
        })
        .collect()
}

/// Kafka's rules for topic names.
///
/// # Errors
/// Names the rule that is broken.
pub fn check_name(name: &str) -> Result<(), ChangeError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "`.` and `..` are directories"
    } else if name.len() > NAME_MAX_CHARS {
        "it is longer than 249 characters"
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        "only ASCII letters, digits, `.`, `_` and `-` are allowed"
    } else {
        return Ok(());
    };
    Err(ChangeError::Name { name: name.chars().take(NAME_MAX_CHARS).collect(), reason })
}
