//! Makes changes: checks them, writes them down, applies them. [`topics`], [`settings`] and [`producer_ids`] have the
//! changes themselves; here is what they share.
//!
//! All changes pass one lock, held for a check, an append to the journal (page cache) and the update of the registry.
//! Who must not answer before a change is safe waits for [`Controller::sync`] afterwards, outside the lock; changes
//! that arrive together share a sync. A change is visible to others a moment before it is safe; if the machine dies in
//! that moment nobody was told that it succeeded.

mod error;
mod name;
mod producer_ids;
mod settings;
mod topics;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::Str;
use uuid::Uuid;

use super::image::Image;
use super::journal::Journal;
use super::record::Record;
use crate::config::{Config, Live};
use crate::durable::Durable;
use crate::flush::{Flusher, Target};
use crate::metrics::Metrics;
use crate::partition::Storage;
use crate::topics::Topics;

pub use error::ChangeError;
pub use name::check_name;
use producer_ids::PRODUCER_ID_BLOCK;
pub use topics::{Bounds, NewTopic};

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
        controller.register_all(&image);
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

    /// Counts a refusal because of a bound.
    fn refused(&self, bound: &str, text: String) -> ChangeError {
        self.metrics.metadata_refused.with_label_values(&[bound]).inc();
        ChangeError::Limit(text)
    }

    /// A promise that every change made so far survives.
    pub fn sync(&self) -> Durable {
        let file: Arc<dyn Target> = self.lock().journal.file();
        self.flusher.flush(file)
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
