//! Compaction: keeping, of all records of a key, the last.
//!
//! Three steps like a flush: [`PartitionLog::prepare_compaction`] decides under the lock what is worth doing,
//! [`Compaction::run`] reads and writes files without it, [`PartitionLog::apply_compaction`] puts the new files
//! in place. What was appended, truncated or deleted meanwhile is never touched: if the sources changed, the
//! result is thrown away.
//!
//! What may be compacted ends below the active segment, the recovery point, the last stable offset (so that
//! every transaction in it is decided), the first transaction whose end is not on disk (so that it stays decided
//! whatever happens) and `min.compaction.lag.ms`. Within it:
//! - a record stays if no later one in the cleaned part or the newly read part has its key;
//! - records of aborted transactions go, records without key go;
//! - tombstones, and transaction markers once nothing else of their transaction stays, are kept for
//!   `delete.retention.ms` after they were first met here so (the batch carries the date), for every reader to see
//!   them; then they go;
//! - the last batch of a producer that is still known stays, empty if need be, so that its sequence survives;
//! - a batch that cannot be read (too large to decompress) stays as it is.

mod rewrite;
pub(crate) mod swap;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::LogConfig;
use crate::handles::Handle;
use crate::io::{Io, read_file, replace_file};
use crate::layout::State;
use crate::log::PartitionLog;
use crate::producers::Appended;
use crate::segment::Segment;
use crate::store::{Step, StorageError, Store};
use crate::truncate::Garbage;
use crate::txn::Aborted;

/// Where a log remembers how far it was compacted: in its own directory, since nobody else needs it.
const CLEANED_UP_TO: &str = "cleaner-offset-checkpoint";

/// A segment to be compacted.
#[derive(Debug)]
struct Source<I: Io> {
    base_offset: i64,
    /// Where the next segment begins.
    end_offset: i64,
    size: u64,
    file: Arc<Handle<I::File>>,
}

/// Work for a background thread.
#[derive(Debug)]
pub struct Compaction<I: Io> {
    store: Arc<Store<I>>,
    dir: PathBuf,
    config: Arc<LogConfig>,
    key: u64,
    sources: Vec<Source<I>>,
    /// Records below were deleted by request.
    start_offset: i64,
    /// Everything from here on has not been compacted yet.
    dirty_from: i64,
    aborted: HashMap<i64, Vec<Aborted>>,
    /// Offset of the last batch of each producer that is on disk; a later one may yet be lost with the power.
    producers_last: HashMap<i64, i64>,
    now_ms: i64,
}

/// What a compaction did, to be put in place.
#[derive(Debug)]
pub struct Compacted<I: Io> {
    key: u64,
    groups: Vec<Group<I>>,
    cleaned_up_to: i64,
    /// Bytes read.
    pub bytes_before: u64,
    /// Bytes written.
    pub bytes_after: u64,
}

/// Neighbouring segments that become one.
#[derive(Debug)]
struct Group<I: Io> {
    sources: Vec<i64>,
    output: Segment<I>,
}

impl<I: Io> PartitionLog<I> {
    /// Decides whether compaction is due and collects what it needs. At most one at a time for one log.
    pub fn prepare_compaction(&mut self, now_ms: i64) -> Result<Option<Compaction<I>>, StorageError> {
        if !self.config.compact || !self.has_dir {
            return Ok(None);
        }
        self.roll_for_max_lag(now_ms)?;
        let count = self.compactable_segments(now_ms)?;
        let dirty_from = self.cleaned_up_to()?;
        if count == 0 || !self.is_compaction_due(count, dirty_from, now_ms)? {
            return Ok(None);
        }
        // If nothing stays of the last records, the name of the active segment's file says where the log goes on. It
        // is durable before the swap is.
        self.cut_leftovers()?;
        let mut sources = Vec::with_capacity(count);
        for index in 0..count {
            let file = self.with_segment(index, "open", |segment, at| segment.log_file(at))?;
            let (segment, next) = (&self.segments[index], &self.segments[index + 1]);
            let (base_offset, end_offset) = (segment.base_offset, next.base_offset);
            sources.push(Source { base_offset, end_offset, size: segment.size, file });
        }
        let mut aborted: HashMap<i64, Vec<Aborted>> = HashMap::new();
        for entry in self.aborted_transactions(self.segments[0].base_offset, i64::MAX)? {
            aborted.entry(entry.producer_id).or_default().push(entry);
        }
        Ok(Some(Compaction {
            store: self.store.clone(),
            dir: self.dir.to_path_buf(),
            config: self.config.clone(),
            key: self.key,
            sources,
            start_offset: self.start_offset,
            dirty_from,
            aborted,
            producers_last: self
                .producers
                .iter()
                .filter_map(|(id, producer)| {
                    let durable = |batch: &&Appended| batch.last_offset < self.recovery_point;
                    Some((id, producer.batches().iter().rfind(durable)?.last_offset))
                })
                .collect(),
            now_ms,
        }))
    }

    /// Puts the result in place, unless the log changed so that it no longer fits.
    pub fn apply_compaction(&mut self, done: Compacted<I>) -> Result<Garbage<I>, StorageError> {
        let mut garbage = Garbage::new(&self.store);
        let fits = |group: &Group<I>| {
            let first = self.segment_of(group.sources[0]);
            let bases = self.segments[first..].iter().map(|segment| segment.base_offset);
            group.sources.iter().copied().eq(bases.take(group.sources.len()))
        };
        if done.key != self.key || !done.groups.iter().all(fits) {
            for group in &done.groups {
                swap::discard(&self.store, &self.dir, group.output.base_offset)?;
            }
            return Ok(garbage);
        }
        for group in done.groups {
            let first = self.segment_of(group.sources[0]);
            self.with_segment(first, "close", |segment, at| {
                segment.close(at);
                Ok(())
            })?;
            let base_offset = group.output.base_offset;
            swap::commit(&self.store, &self.dir, base_offset)?;
            for other in &group.sources[1..] {
                garbage.push_segment(&self.dir, *other)?;
            }
            swap::complete(&self.store, &self.dir, base_offset)?;
            let removed = self.segments.splice(first..first + group.sources.len(), [group.output]);
            garbage.add_bytes(removed.map(|segment| segment.size).sum());
        }
        self.key = self.store.new_key();
        self.names_version += 1;
        let path = self.dir.join(CLEANED_UP_TO);
        replace_file(&self.store.io, &path, done.cleaned_up_to.to_string().as_bytes())
            .step("write", &path)?;
        Ok(garbage)
    }

    /// Everything below was compacted before.
    fn cleaned_up_to(&self) -> Result<i64, StorageError> {
        let path = self.dir.join(CLEANED_UP_TO);
        let content = read_file(&self.store.io, &path).step("read", &path)?;
        let offset: Option<i64> =
            content.and_then(|content| std::str::from_utf8(&content).ok()?.trim().parse().ok());
        // A truncated log may end below; what is missing or damaged costs compacting again.
        Ok(offset.unwrap_or(0).clamp(self.segments[0].base_offset, self.end_offset))
    }

    /// Closes the active segment when its first record has waited for compaction as long as it may.
    fn roll_for_max_lag(&mut self, now_ms: i64) -> Result<(), StorageError> {
        let Some(max_lag_ms) = self.config.max_compaction_lag_ms else { return Ok(()) };
        let active = self.active();
        let first = self.with_segment(active, "look at", |segment, at| segment.first_timestamp(at))?;
        if first >= 0 && now_ms.saturating_sub(first) > max_lag_ms { self.roll() } else { Ok(()) }
    }

    /// How many of the oldest segments may be compacted.
    fn compactable_segments(&mut self, now_ms: i64) -> Result<usize, StorageError> {
        let limit = self.last_stable_offset().min(self.recovery_point).min(self.settled_offset);
        let min_lag_ms = self.config.min_compaction_lag_ms;
        let mut count = 0;
        for index in 0..self.active() {
            if self.segments[index + 1].base_offset > limit {
                break;
            }
            if min_lag_ms > 0 {
                let newest = self.with_segment(index, "look at", |segment, at| segment.newest(at))?;
                if now_ms.saturating_sub(newest.timestamp) < min_lag_ms {
                    break;
                }
            }
            count += 1;
        }
        Ok(count)
    }

    /// Whether enough has come in since the last time, or something has waited too long.
    fn is_compaction_due(
        &mut self,
        count: usize,
        dirty_from: i64,
        now_ms: i64,
    ) -> Result<bool, StorageError> {
        let is_dirty = |segment: &Segment<I>| segment.base_offset >= dirty_from;
        let total: u64 = self.segments[..count].iter().map(|segment| segment.size).sum();
        let dirty: u64 =
            self.segments[..count].iter().filter(|s| is_dirty(s)).map(|segment| segment.size).sum();
        if dirty == 0 {
            return Ok(false);
        }
        if dirty as f64 / total as f64 >= self.config.min_cleanable_dirty_ratio {
            return Ok(true);
        }
        let Some(max_lag_ms) = self.config.max_compaction_lag_ms else { return Ok(false) };
        let Some(first) = self.segments[..count].iter().position(is_dirty) else { return Ok(false) };
        let oldest = self.with_segment(first, "look at", |segment, at| segment.first_timestamp(at))?;
        Ok(oldest >= 0 && now_ms.saturating_sub(oldest) > max_lag_ms)
    }
}

impl<I: Io> Compaction<I> {
    /// Bytes it will read, once or twice.
    pub fn bytes(&self) -> u64 {
        self.sources.iter().map(|source| source.size).sum()
    }

    /// Reads the sources and writes their compacted form next to them. `pace` is called with the number of bytes
    /// that were just read or written, and may sleep, so that the caller bounds the share of disk and CPU.
    pub fn run(&self, mut pace: impl FnMut(usize)) -> Result<Compacted<I>, StorageError> {
        let map = self.map_keys(&mut pace)?;
        let mut done = Compacted {
            key: self.key,
            groups: Vec::new(),
            cleaned_up_to: map.end_offset,
            bytes_before: 0,
            bytes_after: 0,
        };
        let covered = self.sources.iter().take_while(|source| source.end_offset <= map.end_offset).count();
        let mut left = rewrite::TransactionsLeft::new();
        for group in self.grouped(covered) {
            let output = self.rewrite(group, &map, &mut left, &mut pace)?;
            done.bytes_before += group.iter().map(|source| source.size).sum::<u64>();
            done.bytes_after += output.size;
            done.groups
                .push(Group { sources: group.iter().map(|source| source.base_offset).collect(), output });
        }
        Ok(done)
    }

    /// Neighbours whose sizes add up to no more than a segment, so that compacted logs do not end up as many
    /// small files.
    fn grouped(&self, count: usize) -> Vec<&[Source<I>]> {
        let mut groups = Vec::new();
        let mut from = 0;
        while from < count {
            let mut to = from + 1;
            let mut bytes = self.sources[from].size;
            let reach = self.sources[from].base_offset + i64::from(i32::MAX);
            while to < count
                && bytes + self.sources[to].size <= u64::from(self.config.segment_bytes)
                && self.sources[to].end_offset <= reach
            {
                bytes += self.sources[to].size;
                to += 1;
            }
            groups.push(&self.sources[from..to]);
            from = to;
        }
        groups
    }

    fn at(&self, base_offset: i64) -> crate::index::At<'_, I> {
        crate::index::At { store: &self.store, dir: &self.dir, base_offset, state: State::Cleaned }
    }
}
