//! Work in the background, on two timers for the whole broker and none for any partition.
//!
//! Tasks look after what is cheap and frequent (closing files that are not used, noticing what `flush.ms` wants flushed);
//! what waits for the disk or reads a lot (checkpoints, retention, compaction) has a thread while it does. The thread uses a bounded share of
//! a core: after working for a while it rests in proportion.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::broker::Broker;
use crate::clock;

/// How often files that were not used are closed. A busy log's files are marked by each use and stay.
const CLOSE_FILES_EVERY: Duration = Duration::from_secs(10);

/// Retention opens every log on disk, which can wait until clients have come back. Kafka waits as long.
const FIRST_RETENTION_AFTER: Duration = Duration::from_secs(30);

/// How often logs with a `flush.ms` are looked at, and so how late a flush may come. The setting is rare, and looking for
/// topics that have it costs a microsecond each.
const FLUSH_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Partitions looked at before other work of this worker gets a turn: looking takes well under a microsecond.
const LOOKS_BEFORE_YIELD: usize = 1_000;

/// Starts the background work.
pub(crate) fn spawn(broker: &Arc<Broker>, tasks: &TaskTracker, stop: &CancellationToken) {
    tasks.spawn(tidy(Arc::clone(broker), stop.clone()));
    tasks.spawn(flushes(Arc::clone(broker), stop.clone()));
    tasks.spawn(checkpoints(Arc::clone(broker), stop.clone()));
    tasks.spawn(retention(Arc::clone(broker), stop.clone()));
    if broker.config.upkeep.cleaner_enable {
        tasks.spawn(compaction(Arc::clone(broker), stop.clone()));
    }
}

async fn tidy(broker: Arc<Broker>, stop: CancellationToken) {
    let mut tick = interval(CLOSE_FILES_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        broker.storage.close_unused_files();
    }
}

/// Runs `work` on a thread that may wait, and waits for it without holding a worker.
async fn off_worker(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!(%error, "background work panicked");
    }
}

/// Flushes logs of topics with a `flush.ms` when they have held something that long.
async fn flushes(broker: Arc<Broker>, stop: CancellationToken) {
    let mut tick = interval(FLUSH_LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Since when there is something to flush.
    let mut dirty: HashMap<(Uuid, i32), Instant> = HashMap::new();
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let now = Instant::now();
        let mut seen = HashMap::new();
        let mut due = Vec::new();
        for topic in broker.topics.all() {
            let flush_ms = topic.settings().effective.flush_ms;
            if flush_ms == i64::MAX {
                continue;
            }
            let longest = Duration::from_millis(u64::try_from(flush_ms).unwrap_or(0));
            for partition in topic.partitions().iter().filter(|partition| partition.needs_checkpoint()) {
                let key = (topic.id, partition.index());
                let since = dirty.get(&key).copied().unwrap_or(now);
                // What is noticed now is up to a look old.
                if now + FLUSH_LOOK_EVERY >= since + longest {
                    due.push(Arc::clone(partition));
                } else {
                    seen.insert(key, since);
                }
            }
        }
        dirty = seen;
        if !due.is_empty() {
            // A failure was logged; either it ends the broker or the next look tries again.
            broker.metrics.aged_flushes.inc_by(due.len() as u64);
            off_worker(move || {
                for partition in due {
                    let _ = partition.checkpoint();
                }
            })
            .await;
        }
    }
}

async fn checkpoints(broker: Arc<Broker>, stop: CancellationToken) {
    let period = Duration::from_millis(broker.config.upkeep.checkpoint_interval_ms.max(1));
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let (broker, stop) = (Arc::clone(&broker), stop.clone());
        off_worker(move || checkpoint(&broker, &stop)).await;
    }
}

/// Makes every log durable that has something new, then writes down how far each is.
fn checkpoint(broker: &Broker, stop: &CancellationToken) {
    let mut changed = broker.storage.checkpoint_together(&broker.topics);
    for topic in broker.topics.all() {
        for partition in topic.partitions().iter() {
            if stop.is_cancelled() {
                return;
            }
            if partition.needs_checkpoint() {
                changed = true;
                // The failure was logged; either it ends the broker or the next round tries again.
                if partition.checkpoint().is_err() {
                    return;
                }
            }
            partition.shrink();
        }
    }
    if changed {
        broker.storage.write_checkpoints(&broker.topics);
    }
}

async fn retention(broker: Arc<Broker>, stop: CancellationToken) {
    let period = Duration::from_millis(broker.config.upkeep.retention_check_interval_ms.max(1));
    let mut tick = interval_at(Instant::now() + period.min(FIRST_RETENTION_AFTER), period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let (broker, stop) = (Arc::clone(&broker), stop.clone());
        off_worker(move || {
            for topic in broker.topics.all() {
                for partition in topic.partitions().iter() {
                    if stop.is_cancelled() {
                        return;
                    }
                    partition.retain(clock::now_ms());
                }
            }
        })
        .await;
    }
}

async fn compaction(broker: Arc<Broker>, stop: CancellationToken) {
    loop {
        // Read anew in each round: clients may change how often and how hard the cleaner works.
        let upkeep = broker.controller.config().upkeep.clone();
        let backoff = Duration::from_millis(upkeep.cleaner_backoff_ms.max(1));
        let percent = upkeep.cleaner_cpu_percent.clamp(1, 100);
        if stop.run_until_cancelled(tokio::time::sleep(backoff)).await.is_none() {
            return;
        }
        let mut looked_at = 0_usize;
        for topic in broker.topics.all() {
            if !topic.settings().effective.compact {
                continue;
            }
            for partition in topic.partitions().iter() {
                looked_at += 1;
                if looked_at.is_multiple_of(LOOKS_BEFORE_YIELD) {
                    tokio::task::yield_now().await;
                }
                if stop.is_cancelled() {
                    return;
                }
                if partition.is_open() {
                    let theirs = Arc::clone(partition);
                    let mut pace = Pace::new(percent);
                    off_worker(move || {
                        theirs.compact(clock::now_ms(), |_| pace.rest());
                    })
                    .await;
                }
            }
        }
    }
}

/// Keeps a thread to a share of one core: after each stretch of work it sleeps in proportion.
struct Pace {
    percent: u32,
    working_since: Instant,
}

impl Pace {
    /// Shorter stretches would be spent in waking up.
    const STRETCH: Duration = Duration::from_millis(5);

    fn new(percent: u32) -> Pace {
        Pace { percent, working_since: Instant::now() }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the cleaner has a thread of its own, and resting is its purpose"
    )]
    fn rest(&mut self) {
        let worked = self.working_since.elapsed();
        if worked >= Pace::STRETCH && self.percent < 100 {
            std::thread::sleep(worked * (100 - self.percent) / self.percent);
            self.working_since = Instant::now();
        }
    }
}
