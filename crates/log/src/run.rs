//! Runs: batches that are written together, with one system call.
//!
//! A write into the page cache costs far more than its bytes when it is short: the kernel looks for a page, locks it and
//! marks it dirty for each few kilobytes, and all of that is paid again for the page that the next batch shares with
//! this one. Measured on ext4: 0.8 CPU seconds a GB in writes of 16 KiB, 0.4 in writes of 64 KiB, 0.2 in writes of
//! 256 KiB. A producer has several requests open, so where they are there together, they are written together.
//!
//! A run changes nothing of what each request is told. What is in it was judged as if everything before it had been
//! written; where that cannot be said without looking (a batch that does not plainly follow the one before it, a
//! segment that ends), the run ends and is written first. Only the limit of a segment's index is looked at between runs
//! and not within them; a run adds a few entries at most.

use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use protocol::batch::{self, Header, Marker, STAMPED_PREFIX_BYTES};

use crate::append::{AppendError, AppendInfo};
use crate::io::Io;
use crate::log::PartitionLog;
use crate::segment::Coming;
use crate::store::StorageError;

/// A batch on its way in: its header as it will stand in the log, and its bytes in one or two slices.
pub(crate) struct Incoming {
    pub(crate) header: Header,
    pub(crate) marker: Option<Marker>,
    pub(crate) parts: [Bytes; 2],
}

impl Incoming {
    /// A batch whose first bytes are replaced by its header's stamps.
    pub(crate) fn stamped(
        header: Header,
        marker: Option<Marker>,
        batch: &Bytes,
        prefixes: &mut BytesMut,
    ) -> Self {
        prefixes.extend_from_slice(&batch::stamped_prefix(&header, header.base_offset, header.leader_epoch));
        Self { header, marker, parts: [prefixes.split().freeze(), batch.slice(STAMPED_PREFIX_BYTES..)] }
    }

    /// A batch whose bytes are what they shall be.
    pub(crate) fn whole(header: Header, marker: Option<Marker>, batch: Bytes) -> Self {
        Self { header, marker, parts: [batch, Bytes::new()] }
    }

    /// What several batches together ask of a segment; `None` of none.
    fn coming(batches: &[Self]) -> Option<Coming> {
        let (first, last) = (batches.first()?, batches.last()?);
        Some(Coming {
            bytes: batches.iter().map(|batch| batch.header.size_bytes() as u64).sum(),
            last_offset: last.header.last_offset(),
            first_timestamp: first.header.max_timestamp,
            newest_timestamp: batches.iter().map(|batch| batch.header.max_timestamp).max().unwrap_or(-1),
        })
    }
}

/// Batches of one request or several, with their offsets, not written yet.
pub(crate) struct Run {
    batches: Vec<Incoming>,
    /// Which answers speak of them.
    answers: Vec<usize>,
    next_offset: i64,
}

impl Run {
    /// An empty run behind a log that ends at `end_offset`.
    pub(crate) fn new(end_offset: i64) -> Self {
        Self { batches: Vec::new(), answers: Vec::new(), next_offset: end_offset }
    }

    /// Offset of the next batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The newest batch of a producer that waits here.
    pub(crate) fn last_of(&self, producer_id: i64) -> Option<&Header> {
        self.batches.iter().rev().map(|batch| &batch.header).find(|header| header.producer_id == producer_id)
    }

    /// Adds the batches of the request that answer number `answer` is for.
    pub(crate) fn add(&mut self, batches: Vec<Incoming>, answer: usize) {
        if let Some(last) = batches.last() {
            self.next_offset = last.header.last_offset() + 1;
        }
        self.answers.push(answer);
        if self.batches.is_empty() {
            self.batches = batches;
        } else {
            self.batches.extend(batches);
        }
    }
}

impl<I: Io> PartitionLog<I> {
    /// Whether the active segment would have to end between a run and the batches that are to join it.
    pub(crate) fn rolls_between(&mut self, run: &Run, batches: &[Incoming]) -> Result<bool, StorageError> {
        let (Some(before), Some(coming)) = (Incoming::coming(&run.batches), Incoming::coming(batches)) else {
            return Ok(false);
        };
        let config = self.config.clone();
        self.with_segment(self.active(), "look at", |segment, at| {
            segment.must_roll(at, &config, Some(before), coming)
        })
    }

    /// Writes a run and leaves an empty one; if that fails, its answers say so.
    pub(crate) fn write_run(&mut self, run: &mut Run, answers: &mut [Result<AppendInfo, AppendError>]) {
        let batches = std::mem::take(&mut run.batches);
        if let Err(error) = self.write(batches) {
            for answer in &run.answers {
                answers[*answer] = Err(error.again().into());
            }
        }
        *run = Run::new(self.end_offset);
    }

    /// Writes batches that have their offsets, then remembers them.
    pub(crate) fn write(&mut self, batches: Vec<Incoming>) -> Result<(), StorageError> {
        let Some(coming) = Incoming::coming(&batches) else { return Ok(()) };
        self.ensure_dir()?;
        self.cut_leftovers()?;
        self.roll_if_needed(coming)?;
        self.cut_leftovers()?;
        let active = self.active();
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(batches.len() * 2);
        slices.extend(batches.iter().flat_map(|batch| &batch.parts).map(|part| IoSlice::new(part)));
        let written = self.with_segment(active, "append to", |segment, at| {
            segment.prepare(at)?;
            segment.write(at, &mut slices)
        });
        if let Err(error) = written {
            self.has_leftovers = true;
            // If the cut fails too, the next append tries again before it writes.
            let _ = self.cut_leftovers();
            return Err(error);
        }
        for batch in batches {
            self.remember(active, &batch.header, batch.marker);
            if self.tail_demand_bytes > 0 && self.store.recent.is_enabled() {
                let size = batch.header.size_bytes() as u64;
                self.tail_demand_bytes = self.tail_demand_bytes.saturating_sub(size);
                let (base, last) = (batch.header.base_offset, batch.header.last_offset());
                self.store.recent.insert(self.key, base, last, batch.parts);
            }
        }
        Ok(())
    }

    /// Removes what a failed write left behind the last batch; afterwards the active segment has a file.
    pub(crate) fn cut_leftovers(&mut self) -> Result<(), StorageError> {
        if self.has_leftovers {
            self.with_segment(self.active(), "cut leftovers from", |segment, at| segment.cut_leftovers(at))?;
            self.has_leftovers = false;
            // The file may be new.
            self.names_version += 1;
        }
        Ok(())
    }

    fn roll_if_needed(&mut self, coming: Coming) -> Result<(), StorageError> {
        let config = self.config.clone();
        let must_roll = self.with_segment(self.active(), "look at", |segment, at| {
            segment.must_roll(at, &config, None, coming)
        })?;
        if must_roll { self.roll() } else { Ok(()) }
    }

    /// Takes note of a batch that stands at the end of segment `index`.
    fn remember(&mut self, index: usize, header: &Header, marker: Option<Marker>) {
        let at = crate::index::At {
            store: &self.store,
            dir: &self.dir,
            base_offset: self.segments[index].base_offset,
            state: crate::layout::State::Live,
        };
        self.segments[index].added(at, header, self.config.index_interval_bytes);
        self.epochs.assign(header.leader_epoch, header.base_offset);
        self.end_offset = header.last_offset() + 1;
        // Fails only if the file of aborted transactions cannot be read, which it was just before, or written,
        // which is made up for later.
        let _ = self.note_producer(index, header, marker);
    }

    /// Takes note of what a batch in segment `index` says about its producer.
    pub(crate) fn note_producer(
        &mut self,
        index: usize,
        header: &Header,
        marker: Option<Marker>,
    ) -> Result<(), StorageError> {
        match self.producers.appended(header, marker, self.config.max_producer_ids) {
            Some(completed) => self.note_completed(index, &completed),
            None => Ok(()),
        }
    }
}
