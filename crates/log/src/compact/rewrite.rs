//! Which record of a key is the last, and writing what stays.

use std::collections::{HashMap, HashSet};
use std::io::{self, IoSlice};

use bytes::Bytes;
use protocol::batch::{Batch, Builder, Header, Marker, Record};
use sha2::{Digest, Sha256};

use super::{Compaction, Source};
use crate::io::Io;
use crate::layout::{Kind, State, file_path};
use crate::scan::Scan;
use crate::segment::Segment;
use crate::store::{Step, StorageError};
use crate::txn::Aborted;

/// Keys mapped in one run, 24 bytes each and as much again for the table: about 64 MiB at most. A log with
/// more distinct keys in its new part is compacted in several runs.
const MAX_KEYS: usize = 1 << 20;

/// Memory that decompressing one batch may take; see `lookup` for why so much.
const DECOMPRESSED_MAX_BYTES: usize = 64 << 20;

/// A key by a hash that nobody can collide on purpose: a collision would lose a record.
type KeyHash = [u8; 16];

/// The last offset of each key in the part that was not compacted before.
pub(super) struct KeyMap {
    last: HashMap<KeyHash, i64>,
    /// Keys of records from here on were not looked at.
    pub(super) end_offset: i64,
}

fn hash(key: &[u8]) -> KeyHash {
    let digest = Sha256::digest(key);
    let mut hash = KeyHash::default();
    hash.copy_from_slice(&digest[..16]);
    hash
}

/// Producers of whose open transaction, as far as the log was read, a batch stays. The marker that ends it must stay too:
/// without it the transaction would be open for ever to whoever learns it from the batches.
pub(super) type TransactionsLeft = HashSet<i64>;

/// What becomes of a batch.
enum Fate {
    Keep,
    Drop,
    Replace(Bytes),
}

impl<I: Io> Compaction<I> {
    /// Reads the part that was not compacted before and notes the last offset of each key.
    pub(super) fn map_keys(&self, pace: &mut impl FnMut(usize)) -> Result<KeyMap, StorageError> {
        let mut map = KeyMap { last: HashMap::new(), end_offset: self.dirty_from };
        for source in self.sources.iter().filter(|source| source.end_offset > self.dirty_from) {
            let mut fits = true;
            self.each_batch(source, pace, |header, batch| {
                if !fits || header.last_offset() < self.dirty_from || header.is_control() {
                    return Ok(());
                }
                if map.last.len() + header.record_count as usize > MAX_KEYS && !map.last.is_empty() {
                    fits = false;
                    return Ok(());
                }
                let Ok(records) = batch.records(DECOMPRESSED_MAX_BYTES) else { return Ok(()) };
                for record in records.filter_map(Result::ok) {
                    if let Some(key) = &record.key
                        && !self.is_aborted(header, record.offset)
                    {
                        map.last.insert(hash(key), record.offset);
                    }
                }
                Ok(())
            })?;
            if !fits {
                break;
            }
            map.end_offset = source.end_offset;
        }
        Ok(map)
    }

    /// Writes one segment with what stays of several.
    pub(super) fn rewrite(
        &self,
        group: &[Source<I>],
        map: &KeyMap,
        left: &mut TransactionsLeft,
        pace: &mut impl FnMut(usize),
    ) -> Result<Segment<I>, StorageError> {
        let base_offset = group[0].base_offset;
        let at = self.at(base_offset);
        let path = at.path(Kind::Log);
        let mut output = Segment::new(base_offset);
        // All files are made, and made empty, so that each replaces its predecessor.
        output.create_files(at).step("create", &path)?;
        for source in group {
            self.each_batch(source, pace, |header, batch| {
                let is_needed = header.is_control() && left.remove(&header.producer_id);
                let bytes = match self.fate(header, batch, map, is_needed)? {
                    Fate::Drop => return Ok(()),
                    Fate::Keep => batch.bytes().clone(),
                    Fate::Replace(bytes) => bytes,
                };
                if header.is_transactional() && !header.is_control() {
                    left.insert(header.producer_id);
                }
                let header = Header::parse(&bytes).map_err(invalid)?;
                output.prepare(at)?;
                output.write(at, &mut [IoSlice::new(&bytes)])?;
                output.added(at, &header, self.config.index_interval_bytes);
                if header.is_control()
                    && let Some(aborted) = self.abort_with_marker(&header)
                {
                    output.add_aborted(at, *aborted)?;
                }
                Ok(())
            })?;
        }
        let sync = |output: &mut Segment<I>| {
            output.finish(at)?;
            output.sync(at)?;
            output.close(at);
            Ok(())
        };
        sync(&mut output).step("sync", &path)?;
        Ok(output)
    }

    fn each_batch(
        &self,
        source: &Source<I>,
        pace: &mut impl FnMut(usize),
        mut visit: impl FnMut(&Header, &Batch) -> io::Result<()>,
    ) -> Result<(), StorageError> {
        let path = file_path(&self.dir, source.base_offset, Kind::Log, State::Live);
        let mut scan = Scan::checked(&source.file.file, &self.store.buffers, 0, source.size);
        let mut next = || -> io::Result<Option<usize>> {
            let Some(met) = scan.next()? else { return Ok(None) };
            let met = met.map_err(invalid)?;
            let batch = Batch::parse(&Bytes::copy_from_slice(met.bytes)).map_err(invalid)?;
            visit(&met.header, &batch)?;
            Ok(Some(met.header.size_bytes()))
        };
        while let Some(bytes) = next().step("compact", &path)? {
            pace(bytes);
        }
        Ok(())
    }

    fn is_aborted(&self, header: &Header, offset: i64) -> bool {
        let inside = |aborted: &Aborted| aborted.first_offset <= offset && offset < aborted.last_offset;
        header.is_transactional()
            && self.aborted.get(&header.producer_id).is_some_and(|all| all.iter().any(inside))
    }

    fn abort_with_marker(&self, marker: &Header) -> Option<&Aborted> {
        self.aborted
            .get(&marker.producer_id)?
            .iter()
            .find(|aborted| aborted.last_offset == marker.base_offset)
    }

    /// `is_needed` says of a marker that something of its transaction stays.
    fn fate(&self, header: &Header, batch: &Batch, map: &KeyMap, is_needed: bool) -> io::Result<Fate> {
        let horizon = header.delete_horizon_ms();
        let is_over = horizon.is_some_and(|horizon| self.now_ms > horizon);
        let is_last_of_producer = self.producers_last.get(&header.producer_id) == Some(&header.last_offset());
        let Ok(records) = batch.records(DECOMPRESSED_MAX_BYTES) else { return Ok(Fate::Keep) };
        // A record that cannot be read would be lost without anybody knowing: then nothing is touched.
        let Ok(records) = records.collect::<Result<Vec<Record>, _>>() else { return Ok(Fate::Keep) };
        let is_spent_marker = header.is_control() && !is_needed && Marker::read(batch).is_some();
        let mut waits_for_horizon = false;
        let mut kept = Vec::with_capacity(records.len());
        for record in &records {
            let stays = if header.is_control() {
                waits_for_horizon |= is_spent_marker;
                !(is_spent_marker && is_over)
            } else {
                let is_tombstone = record.value.is_none();
                let stays = self.is_latest(header, record, map) && !(is_tombstone && is_over);
                waits_for_horizon |= stays && is_tombstone;
                stays
            };
            if stays {
                kept.push(record);
            }
        }
        let sets_horizon = waits_for_horizon && horizon.is_none();
        if kept.len() == records.len() && !sets_horizon && (!kept.is_empty() || is_last_of_producer) {
            return Ok(Fate::Keep);
        }
        if kept.is_empty() && !is_last_of_producer {
            return Ok(Fate::Drop);
        }
        let mut builder = Builder::replacing(header, header.compression().map_err(invalid)?);
        if sets_horizon {
            builder = builder.delete_horizon(self.now_ms.saturating_add(self.config.delete_retention_ms));
        }
        kept.into_iter().for_each(|record| builder.keep(record));
        Ok(Fate::Replace(builder.build()?.freeze()))
    }

    fn is_latest(&self, header: &Header, record: &Record, map: &KeyMap) -> bool {
        let Some(key) = &record.key else { return false };
        record.offset >= self.start_offset
            && !self.is_aborted(header, record.offset)
            && map.last.get(&hash(key)).is_none_or(|last| record.offset >= *last)
    }
}

fn invalid(bad: protocol::batch::BatchError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, bad)
}
