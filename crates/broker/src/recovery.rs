//! The start: match what is on disk with what exists, and check logs if the last stop was not orderly.
//!
//! After an orderly stop nothing is opened: each partition learns what checkpoints say and opens its log at the first
//! use. After any other, every log on disk is opened now, on a few threads, because a consumer must not find a log
//! shorter than it was, and because whoever waits for readiness wants to see progress.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use log::{Startup, Stopped};

use crate::partition::{Partition, Storage};
use crate::status::Status;
use crate::topics::Topics;

/// Recovery reads and checksums: more threads than cores gain nothing, and this many suit the machines we promise.
const THREADS: usize = 2;

/// Fills in what the data directory says, and recovers if need be.
pub(crate) async fn run(
    topics: &Arc<Topics>,
    storage: &Arc<Storage>,
    startup: Startup,
    gone: &BTreeSet<String>,
    status: &Arc<Status>,
) {
    let mut on_disk: Vec<Arc<Partition>> = Vec::new();
    for found in &startup.partitions {
        let topic =
            topics.by_name(&found.topic).filter(|topic| found.topic_id.is_none_or(|id| id == topic.id));
        match topic.and_then(|topic| topic.partition(found.partition)) {
            Some(partition) => {
                partition.found_on_disk(startup.known(&found.topic, found.partition));
                on_disk.push(partition);
            }
            None if gone.contains(&found.topic) || topics.by_name(&found.topic).is_some() => {
                // Deleted, and the process died before its files were gone; or of an earlier topic of that name.
                storage.set_aside(&found.topic, found.partition);
            }
            None => tracing::warn!(topic.name = %found.topic, partition = found.partition,
                "a directory belongs to no topic that is known; it is left alone"),
        }
    }
    if startup.stopped == Stopped::Clean || on_disk.is_empty() {
        return;
    }
    let machine_died = startup.stopped == Stopped::MachineDied;
    tracing::info!(logs = on_disk.len(), machine_died, "the last stop was not orderly: checking the logs");
    status.to_recover(on_disk.len());
    let on_disk = Arc::new(on_disk);
    let next = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    for _ in 0..THREADS {
        let (on_disk, next, status) = (Arc::clone(&on_disk), Arc::clone(&next), Arc::clone(status));
        threads.push(tokio::task::spawn_blocking(move || {
            while let Some(partition) = on_disk.get(next.fetch_add(1, Ordering::Relaxed)) {
                partition.open_now();
                status.recovered_one();
            }
        }));
    }
    for thread in threads {
        if let Err(error) = thread.await {
            tracing::error!(%error, "a recovery thread panicked; its log is opened at its first use");
        }
    }
    storage.recovered(status.recovery().0);
}
