//! Group commit: the one thread that waits for the disk.
//!
//! Whoever needs something on the disk leaves a job and goes on; the thread takes all jobs that wait, syncs each
//! target once, and answers everybody. The slower the disk, the more jobs share a sync. Tokio's workers never wait
//! for a disk, which at p99 takes milliseconds.
//!
//! The queue needs no bound of its own: a job belongs to a request in progress or to upkeep, and both are bounded.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use protocol::ErrorCode;
use tokio::sync::oneshot;

use crate::durable::Durable;
use crate::metrics::Metrics;

/// Something that can be made durable.
pub trait Target: Send + Sync {
    /// Makes everything written before the call durable. Called without any lock held.
    ///
    /// # Errors
    /// If the disk refuses. After a failed sync nobody knows what is on the disk, so the target must not be trusted.
    fn sync(&self) -> io::Result<()>;
}

impl Target for std::fs::File {
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

struct Job {
    target: Arc<dyn Target>,
    outcome: oneshot::Sender<Result<(), ErrorCode>>,
}

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    stopped: bool,
}

struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // A list of jobs is valid whatever happened to the thread that held it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread and its queue.
pub struct Flusher {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Flusher {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub fn start(metrics: Arc<Metrics>) -> io::Result<Flusher> {
        let queue = Arc::new(Queue { waiting: Mutex::default(), changed: Condvar::new() });
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("flush".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || work(&theirs, &metrics))?;
        Ok(Flusher { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Asks for everything that was written to `target` so far to be made durable.
    pub fn flush(&self, target: Arc<dyn Target>) -> Durable {
        let (outcome, promise) = oneshot::channel();
        let mut waiting = self.queue.lock();
        if !waiting.stopped {
            waiting.jobs.push(Job { target, outcome });
            // Only the first job finds the thread asleep.
            if waiting.jobs.len() == 1 {
                self.queue.changed.notify_one();
            }
        }
        Durable::pending(promise)
    }

    /// Finishes what is queued and ends the thread; later jobs are refused.
    pub fn stop(&self) {
        self.queue.lock().stopped = true;
        self.queue.changed.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the flush thread panicked");
        }
    }
}

fn work(queue: &Queue, metrics: &Metrics) {
    loop {
        let jobs = {
            let mut waiting = queue.lock();
            while waiting.jobs.is_empty() {
                if waiting.stopped {
                    return;
                }
                waiting = queue.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::take(&mut waiting.jobs)
        };
        commit(jobs, metrics);
    }
}

/// Syncs each target of `jobs` once and answers all of them.
fn commit(mut jobs: Vec<Job>, metrics: &Metrics) {
    jobs.sort_by_key(|job| Arc::as_ptr(&job.target).addr());
    let mut jobs = jobs.into_iter().peekable();
    while let Some(first) = jobs.next() {
        let address = Arc::as_ptr(&first.target).addr();
        let timer = metrics.flush_seconds.start_timer();
        let outcome = first.target.sync().map_err(|error| {
            metrics.flush_failures.inc();
            tracing::error!(%error, "the disk refused to make a write durable");
            ErrorCode::KafkaStorageError
        });
        timer.observe_duration();
        // Nobody listens any more if the client went away; that is no failure.
        let _ = first.outcome.send(outcome);
        while let Some(same) = jobs.next_if(|job| Arc::as_ptr(&job.target).addr() == address) {
            let _ = same.outcome.send(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counting(AtomicUsize);

    impl Target for Counting {
        fn sync(&self) -> io::Result<()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    #[tokio::test]
    async fn jobs_of_one_target_share_a_sync_and_all_are_answered() {
        let metrics = Arc::new(Metrics::new());
        let target = Arc::new(Counting(AtomicUsize::new(0)));
        let mut jobs = Vec::new();
        let mut promises = Vec::new();
        for _ in 0..5 {
            let (outcome, promise) = oneshot::channel();
            jobs.push(Job { target: Arc::clone(&target) as Arc<dyn Target>, outcome });
            promises.push(Durable::pending(promise));
        }
        commit(jobs, &metrics);
        for promise in promises {
            promise.wait().await.expect("synced");
        }
        assert_eq!(target.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn after_the_stop_promises_are_broken_and_not_forgotten() {
        let flusher = Flusher::start(Arc::new(Metrics::new())).expect("a thread");
        let target = Arc::new(Counting(AtomicUsize::new(0)));
        flusher.flush(Arc::clone(&target) as Arc<dyn Target>).wait().await.expect("synced");
        flusher.stop();
        let late = flusher.flush(target).wait().await;
        assert_eq!(late, Err(ErrorCode::KafkaStorageError));
    }
}
