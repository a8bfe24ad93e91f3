//! Where agents in one process put up the newest status of each cluster, and where any number of readers follow them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt, stream};
use model::{ClusterId, ClusterStatus};
use tokio::sync::watch;

/// The newest status of each cluster. A cheap handle; clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Board {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// A plain mutex, since it is held for a map operation and never across an await.
    statuses: Mutex<BTreeMap<ClusterId, Posted>>,
    /// The number of the newest entry. Readers wait on it.
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Posted {
    number: u64,
    status: ClusterStatus,
}

impl Board {
    /// Replaces the status of its cluster. One that only differs in when it was seen is stored but wakes nobody.
    pub fn post(&self, status: ClusterStatus) {
        let mut statuses = self.statuses();
        match statuses.get_mut(&status.cluster) {
            Some(posted) if says_the_same(&posted.status, &status) => posted.status = status,
            _ => {
                let number = *self.inner.newest.borrow() + 1;
                statuses.insert(status.cluster, Posted { number, status });
                self.inner.newest.send_replace(number);
            }
        }
    }

    /// Takes a cluster off.
    pub fn remove(&self, cluster: ClusterId) {
        self.statuses().remove(&cluster);
    }

    /// The newest status of a cluster.
    #[must_use]
    pub fn get(&self, cluster: ClusterId) -> Option<ClusterStatus> {
        self.statuses().get(&cluster).map(|posted| posted.status.clone())
    }

    /// Every status first, then each change. A slow reader misses what was replaced before it looked.
    pub fn follow(&self) -> impl Stream<Item = ClusterStatus> + Send + use<> {
        let reader = Reader { board: self.clone(), newest: self.inner.newest.subscribe(), read_up_to: 0 };
        stream::unfold(reader, |mut reader| async move {
            loop {
                // First marked as seen, then read: what is put up in between wakes us once more than needed.
                reader.newest.borrow_and_update();
                let changes = reader.take();
                if !changes.is_empty() {
                    return Some((stream::iter(changes), reader));
                }
                // The board holds the sender, and the reader holds the board: this ends only with the stream.
                reader.newest.changed().await.ok()?;
            }
        })
        .flatten()
    }

    fn statuses(&self) -> MutexGuard<'_, BTreeMap<ClusterId, Posted>> {
        // A panic of another thread cannot leave the map half changed.
        self.inner.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Reader {
    board: Board,
    newest: watch::Receiver<u64>,
    read_up_to: u64,
}

impl Reader {
    fn take(&mut self) -> Vec<ClusterStatus> {
        let statuses = self.board.statuses();
        let mut unread: Vec<&Posted> =
            statuses.values().filter(|posted| posted.number > self.read_up_to).collect();
        unread.sort_by_key(|posted| posted.number);
        if let Some(last) = unread.last() {
            self.read_up_to = last.number;
        }
        unread.into_iter().map(|posted| posted.status.clone()).collect()
    }
}

fn says_the_same(one: &ClusterStatus, other: &ClusterStatus) -> bool {
    ClusterStatus { at: other.at, ..one.clone() } == *other
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use model::{Generation, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn status(cluster: u128, generation: i64) -> ClusterStatus {
        ClusterStatus {
            cluster: ClusterId(Uuid::from_u128(cluster)),
            observed_generation: Generation(generation),
            at: Timestamp(0),
            conditions: Vec::new(),
            brokers: Vec::new(),
            waiting: Vec::new(),
            cluster_ca: None,
            removed: false,
        }
    }

    fn ready_now(stream: &mut (impl Stream<Item = ClusterStatus> + Unpin)) -> Vec<(u128, i64)> {
        std::iter::from_fn(|| stream.next().now_or_never().flatten())
            .map(|status| (status.cluster.0.as_u128(), status.observed_generation.0))
            .collect()
    }

    #[test]
    fn a_reader_sees_everything_first_and_then_the_newest_of_what_changed() {
        let board = Board::default();
        board.post(status(1, 1));
        board.post(status(2, 1));
        let mut reader = Box::pin(board.follow());
        assert_eq!(ready_now(&mut reader), [(1, 1), (2, 1)]);
        board.post(status(2, 2));
        board.post(status(1, 2));
        board.post(status(2, 3));
        assert_eq!(ready_now(&mut reader), [(1, 2), (2, 3)]);
    }

    #[test]
    fn the_same_status_seen_later_wakes_nobody_but_is_kept() {
        let board = Board::default();
        board.post(status(1, 1));
        let mut reader = Box::pin(board.follow());
        assert_eq!(ready_now(&mut reader), [(1, 1)]);
        let later = ClusterStatus { at: Timestamp(5), ..status(1, 1) };
        board.post(later.clone());
        assert!(ready_now(&mut reader).is_empty());
        assert_eq!(board.get(later.cluster), Some(later));
    }
}
