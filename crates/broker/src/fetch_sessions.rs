//! What incremental fetches leave out (KIP-227): which partitions a consumer asks for, and what it was told of them.
//!
//! A session belongs to one consumer, which names it in each fetch with the epoch that comes next. While a fetch is being
//! answered its session is out of the cache, so no lock is held meanwhile; a second fetch with the same id finds nothing
//! and is told to begin anew. Sessions are bounded in number and in partitions, each and all together; who gets none
//! works without.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{ErrorCode, Str};
use uuid::Uuid;

use crate::metrics::Metrics;
use crate::partition::Partition;

/// A session unused for so long makes room for a new one; a younger one stays and the new consumer gets none. Kafka's
/// value: consumers fetch at least every half second, so two minutes mean that it is gone.
const EVICT_AFTER_MS: i64 = 120_000;

/// Partitions of one session. More would be memory that one client holds; who has more fetches without a session.
const MAX_PARTITIONS: usize = 20_000;

/// Partitions of all sessions. One takes some 150 bytes, so this is 75 MB at the very most; a thousand consumers of five
/// hundred partitions each fit.
const ALL_PARTITIONS_MAX: usize = 500_000;

/// A partition that a consumer asks for, and what it knows of it.
pub struct Wanted {
    /// Topic name, empty where clients name topics by id.
    pub topic: Str,
    /// Topic id, nil where clients name topics by name.
    pub topic_id: Uuid,
    /// Partition number.
    pub index: i32,
    /// Looked up once and again only if the partition is gone.
    pub partition: Option<Arc<Partition>>,
    /// Where to read on.
    pub offset: i64,
    /// At most so many bytes.
    pub max_bytes: usize,
    /// The leader epoch that the client believes in; negative for none.
    pub leader_epoch: i32,
    /// Epoch of the last record that the client has; negative for none.
    pub last_fetched_epoch: i32,
    /// What the client was told last: high watermark and begin of the log.
    pub told: Option<(i64, i64)>,
}

/// What one consumer asks for.
#[derive(Default)]
pub struct Session {
    /// In the order in which it is to be served.
    pub wanted: Vec<Wanted>,
    /// Where the next fetch begins, so that a busy partition in front does not starve the others.
    pub begin: usize,
}

/// What a fetch is to do.
pub struct Turn {
    /// What to fetch.
    pub session: Session,
    /// The id to answer with; 0 without a session.
    pub id: i32,
    /// Whether only news are to be told.
    pub incremental: bool,
    /// The epoch that the next fetch must name.
    next_epoch: i32,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions = self.session.wanted.len();
        f.debug_struct("Turn").field("id", &self.id).field("partitions", &partitions).finish_non_exhaustive()
    }
}

struct Kept {
    session: Session,
    next_epoch: i32,
    used_ms: i64,
}

#[derive(Default)]
struct Cache {
    kept: HashMap<i32, Kept>,
    /// Sessions that are being answered, with the number of their partitions.
    out: HashMap<i32, usize>,
    /// Partitions of all of them.
    partitions: usize,
    next_id: i32,
}

impl Cache {
    fn forget(&mut self, id: i32) {
        if let Some(kept) = self.kept.remove(&id) {
            self.partitions -= kept.session.wanted.len();
        }
        if let Some(partitions) = self.out.remove(&id) {
            self.partitions -= partitions;
        }
    }
}

/// All sessions of this broker.
pub struct FetchSessions {
    cache: Mutex<Cache>,
    slots: usize,
    metrics: Arc<Metrics>,
}

/// The epoch of a fetch that wants no session.
pub const NO_SESSION: i32 = -1;
/// The epoch of a fetch that wants a new session.
pub const NEW_SESSION: i32 = 0;

impl FetchSessions {
    /// No sessions yet.
    #[must_use]
    pub fn new(slots: usize, metrics: Arc<Metrics>) -> FetchSessions {
        FetchSessions { cache: Mutex::default(), slots, metrics }
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a fetch that names everything it wants: without session, or with a new one if there is room.
    pub fn begin_full(&self, id: i32, epoch: i32, wanted: Vec<Wanted>, now_ms: i64) -> Turn {
        let mut cache = self.lock();
        if id != 0 {
            // The client gives its old session up.
            cache.forget(id);
        }
        let session = Session { wanted, begin: 0 };
        let mut turn = Turn { session, id: 0, incremental: false, next_epoch: 1 };
        let partitions = turn.session.wanted.len();
        if epoch == NEW_SESSION && self.has_room(&mut cache, partitions, now_ms) {
            cache.next_id = cache.next_id.wrapping_add(1).max(1);
            while cache.kept.contains_key(&cache.next_id) || cache.out.contains_key(&cache.next_id) {
                cache.next_id = cache.next_id.wrapping_add(1).max(1);
            }
            turn.id = cache.next_id;
            cache.out.insert(turn.id, partitions);
            cache.partitions += partitions;
        }
        self.count(&cache);
        turn
    }

    /// Whether one more session fits, if those that are not used any more go.
    fn has_room(&self, cache: &mut Cache, partitions: usize, now_ms: i64) -> bool {
        if partitions > MAX_PARTITIONS || self.slots == 0 {
            return false;
        }
        loop {
            let sessions = cache.kept.len() + cache.out.len();
            if sessions < self.slots && cache.partitions + partitions <= ALL_PARTITIONS_MAX {
                return true;
            }
            let oldest = cache.kept.iter().min_by_key(|(_, kept)| kept.used_ms);
            match oldest.map(|(id, kept)| (*id, kept.used_ms)) {
                Some((id, used_ms)) if now_ms.saturating_sub(used_ms) > EVICT_AFTER_MS => {
                    cache.forget(id);
                    self.metrics.fetch_sessions_evicted.inc();
                }
                _ => return false,
            }
        }
    }

    /// Begins a fetch of a session.
    ///
    /// # Errors
    /// FETCH_SESSION_ID_NOT_FOUND or INVALID_FETCH_SESSION_EPOCH: the client begins a new session then.
    pub fn begin_incremental(&self, id: i32, epoch: i32) -> Result<Turn, ErrorCode> {
        let mut cache = self.lock();
        let kept = cache.kept.get(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if kept.next_epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        let kept = cache.kept.remove(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        cache.out.insert(id, kept.session.wanted.len());
        let next_epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        Ok(Turn { session: kept.session, id, incremental: true, next_epoch })
    }

    /// Ends a fetch: its session, if it has one, waits for the next.
    pub fn end(&self, turn: Turn, now_ms: i64) {
        if turn.id == 0 {
            return;
        }
        let mut cache = self.lock();
        cache.forget(turn.id);
        let partitions = turn.session.wanted.len();
        // It may have grown; then the client is told to begin anew.
        if partitions <= MAX_PARTITIONS && cache.partitions + partitions <= ALL_PARTITIONS_MAX {
            cache.partitions += partitions;
            let kept = Kept { session: turn.session, next_epoch: turn.next_epoch, used_ms: now_ms };
            cache.kept.insert(turn.id, kept);
        }
        self.count(&cache);
    }

    /// Notes that the fetch of a session was given up with its connection.
    pub fn abandon(&self, id: i32) {
        let mut cache = self.lock();
        cache.forget(id);
        self.count(&cache);
    }

    fn count(&self, cache: &Cache) {
        let count = cache.kept.len() + cache.out.len();
        self.metrics.fetch_sessions.set(i64::try_from(count).unwrap_or(i64::MAX));
        let partitions = i64::try_from(cache.partitions).unwrap_or(i64::MAX);
        self.metrics.fetch_session_partitions.set(partitions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(slots: usize) -> FetchSessions {
        FetchSessions::new(slots, Arc::new(Metrics::new()))
    }

    #[test]
    fn a_session_goes_on_with_the_next_epoch_and_with_no_other() {
        let sessions = sessions(10);
        let turn = sessions.begin_full(0, NEW_SESSION, Vec::new(), 0);
        let id = turn.id;
        assert!(id > 0 && !turn.incremental);
        assert_eq!(
            sessions.begin_incremental(id, 1).err(),
            Some(ErrorCode::FetchSessionIdNotFound),
            "it is out"
        );
        sessions.end(turn, 0);
        assert_eq!(sessions.begin_incremental(id, 2).err(), Some(ErrorCode::InvalidFetchSessionEpoch));
        let turn = sessions.begin_incremental(id, 1).expect("the next epoch");
        assert!(turn.incremental);
        sessions.end(turn, 0);
        sessions.begin_full(id, NO_SESSION, Vec::new(), 0);
        assert_eq!(
            sessions.begin_incremental(id, 2).err(),
            Some(ErrorCode::FetchSessionIdNotFound),
            "given up"
        );
    }

    #[test]
    fn without_room_there_is_no_session_until_an_old_one_was_silent_for_long() {
        let sessions = sessions(1);
        let first = sessions.begin_full(0, NEW_SESSION, Vec::new(), 0);
        let first_id = first.id;
        sessions.end(first, 0);
        assert_eq!(sessions.begin_full(0, NEW_SESSION, Vec::new(), EVICT_AFTER_MS).id, 0);
        assert!(sessions.begin_full(0, NEW_SESSION, Vec::new(), EVICT_AFTER_MS + 1).id > first_id);
    }

    fn wanted(count: usize) -> Vec<Wanted> {
        let one = |index| Wanted {
            topic: Str::default(),
            topic_id: Uuid::nil(),
            index,
            partition: None,
            offset: 0,
            max_bytes: 0,
            leader_epoch: -1,
            last_fetched_epoch: -1,
            told: None,
        };
        (0..i32::try_from(count).expect("small")).map(one).collect()
    }

    #[test]
    fn sessions_are_bounded_in_partitions_each_and_all_together() {
        let sessions = sessions(1_000);
        let most = ALL_PARTITIONS_MAX / MAX_PARTITIONS;
        assert_eq!(sessions.begin_full(0, NEW_SESSION, wanted(MAX_PARTITIONS + 1), 0).id, 0);
        for _ in 0..most {
            let turn = sessions.begin_full(0, NEW_SESSION, wanted(MAX_PARTITIONS), 0);
            assert!(turn.id > 0);
            sessions.end(turn, 0);
        }
        assert_eq!(sessions.begin_full(0, NEW_SESSION, wanted(1), 0).id, 0, "all partitions are taken");
        let fresh = sessions.begin_full(0, NEW_SESSION, wanted(1), EVICT_AFTER_MS + 1);
        assert!(fresh.id > 0, "a session that is not used any more went");
        sessions.end(fresh, EVICT_AFTER_MS + 1);
        assert_eq!(sessions.lock().partitions, (most - 1) * MAX_PARTITIONS + 1);
    }

    #[test]
    fn an_abandoned_session_gives_its_slot_back() {
        let sessions = sessions(1);
        let turn = sessions.begin_full(0, NEW_SESSION, Vec::new(), 0);
        sessions.abandon(turn.id);
        assert!(sessions.begin_full(0, NEW_SESSION, Vec::new(), 0).id > 0);
    }
}
