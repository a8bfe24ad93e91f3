//! What a log remembers of its producers: enough to refuse a batch twice, out of order, or from the past.
//!
//! For each producer id: its epoch, its last five batches (an idempotent producer has at most five requests in
//! flight, so a retry is always one of these) and the start of its open transaction. Everything here follows
//! from the batches in the log; `snapshot` only saves reading them all again.
//!
//! The number of producers is bounded: the longest silent ones without an open transaction make room, and
//! silent ones expire. A producer that was forgotten may go on with any sequence, as in Kafka.

pub(crate) mod snapshot;

use std::collections::BTreeMap;

use protocol::batch::{Header, Marker};

/// In-flight requests of an idempotent producer, fixed by the protocol.
const BATCHES_REMEMBERED: usize = 5;

/// When the table is full, this part of it makes room at once, so that the search for the oldest is paid once
/// for many newcomers.
const EVICTED_PART: usize = 8;

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
}

impl Appended {
    fn first_sequence(self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        (if first < 0 { first + i64::from(i32::MAX) + 1 } else { first }) as i32
    }
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    /// Of the last transaction marker; -1 when there was none.
    pub(crate) coordinator_epoch: i32,
    /// Of its records, which may tell of a time long ago; never compared with the clock.
    pub(crate) last_timestamp: i64,
    pub(crate) transaction_first_offset: Option<i64>,
    /// Newest last; all of `epoch`.
    batches: Vec<Appended>,
    /// Last offset of its newest batch or marker, by which the longest silent producer is found.
    last_offset: i64,
    /// When somebody first noticed that it had been silent since the look before; `None` after each batch.
    silent_since_ms: Option<i64>,
}

impl Producer {
    pub(crate) fn last(&self) -> Option<Appended> {
        self.batches.last().copied()
    }

    /// The batches by which a repetition is recognised, newest last.
    pub(crate) fn batches(&self) -> &[Appended] {
        &self.batches
    }

    /// A producer as a snapshot describes it, without its batches.
    pub(crate) fn recovered(
        epoch: i16,
        coordinator_epoch: i32,
        last_timestamp: i64,
        first: Option<i64>,
    ) -> Self {
        Self {
            epoch,
            coordinator_epoch,
            last_timestamp,
            transaction_first_offset: first,
            batches: Vec::new(),
            last_offset: -1,
            silent_since_ms: None,
        }
    }

    fn remember(&mut self, batch: Appended) {
        if self.batches.len() == BATCHES_REMEMBERED {
            self.batches.remove(0);
        }
        self.batches.push(batch);
    }
}

/// A transaction that a marker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Offset of the marker.
    pub(crate) last_offset: i64,
    pub(crate) aborted: bool,
}

/// What a produced batch is, judged by what is known of its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not seen before; append it.
    New,
    /// Appended before, with these offsets.
    Duplicate(Appended),
}

/// Why a batch of a producer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A batch before this one is missing, or the batch is an old one that is no longer remembered.
    #[error("producer {producer_id} epoch {epoch}: sequence {sequence} does not follow {last_sequence}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// Its epoch.
        epoch: i16,
        /// First sequence of the refused batch.
        sequence: i32,
        /// Last sequence that was appended; -1 when none of this epoch was.
        last_sequence: i32,
    },
    /// Another instance of the producer has taken over.
    #[error("producer {producer_id}: epoch {epoch} is older than {current}")]
    InvalidEpoch {
        /// The producer.
        producer_id: i64,
        /// Epoch of the refused batch.
        epoch: i16,
        /// Epoch that the log knows.
        current: i16,
    },
    /// A marker of a coordinator that was replaced.
    #[error("producer {producer_id}: coordinator epoch {epoch} is older than {current}")]
    CoordinatorFenced {
        /// The producer.
        producer_id: i64,
        /// Coordinator epoch of the refused marker.
        epoch: i32,
        /// Coordinator epoch that the log knows.
        current: i32,
    },
}

/// All producers of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Producers {
    entries: BTreeMap<i64, Producer>,
    /// Open transactions by first offset.
    ongoing: BTreeMap<i64, i64>,
    /// Ended transactions, first offset to offset of the marker, whose marker is not yet below the high
    /// watermark: until then a reader of committed records must not pass their start.
    unreplicated: BTreeMap<i64, i64>,
}

impl Producers {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.entries.iter().map(|(id, producer)| (*id, producer))
    }

    /// Judges a data batch that a client sent.
    pub(crate) fn judge(&self, header: &Header) -> Result<Verdict, ProducerError> {
        let Some(producer) = self.entries.get(&header.producer_id) else { return Ok(Verdict::New) };
        let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
        if epoch < producer.epoch {
            return Err(ProducerError::InvalidEpoch { producer_id, epoch, current: producer.epoch });
        }
        let sequence = header.base_sequence;
        if epoch > producer.epoch {
            return if sequence == 0 {
                Ok(Verdict::New)
            } else {
                Err(ProducerError::OutOfOrderSequence { producer_id, epoch, sequence, last_sequence: -1 })
            };
        }
        let last_sequence = header.last_sequence();
        let same =
            |batch: &&Appended| batch.last_sequence == last_sequence && batch.first_sequence() == sequence;
        if let Some(duplicate) = producer.batches.iter().find(same) {
            return Ok(Verdict::Duplicate(*duplicate));
        }
        // After a marker, or when all its records were deleted, nothing is known of this epoch's sequences.
        let Some(last) = producer.last() else { return Ok(Verdict::New) };
        let follows =
            if last.last_sequence == i32::MAX { sequence == 0 } else { sequence == last.last_sequence + 1 };
        if follows {
            Ok(Verdict::New)
        } else {
            Err(ProducerError::OutOfOrderSequence {
                producer_id,
                epoch,
                sequence,
                last_sequence: last.last_sequence,
            })
        }
    }

    /// Judges a transaction marker that a coordinator sent.
    pub(crate) fn judge_marker(&self, header: &Header, marker: Marker) -> Result<(), ProducerError> {
        let Some(producer) = self.entries.get(&header.producer_id) else { return Ok(()) };
        let producer_id = header.producer_id;
        if header.producer_epoch < producer.epoch {
            return Err(ProducerError::InvalidEpoch {
                producer_id,
                epoch: header.producer_epoch,
                current: producer.epoch,
            });
        }
        if marker.coordinator_epoch < producer.coordinator_epoch {
            let (epoch, current) = (marker.coordinator_epoch, producer.coordinator_epoch);
            return Err(ProducerError::CoordinatorFenced { producer_id, epoch, current });
        }
        Ok(())
    }

    /// Takes note of a batch that is in the log. Never refuses: what is in the log is true.
    pub(crate) fn appended(
        &mut self,
        header: &Header,
        marker: Option<Marker>,
        limit: usize,
    ) -> Option<Completed> {
        if !header.has_producer() {
            return None;
        }
        if self.entries.len() >= limit && !self.entries.contains_key(&header.producer_id) {
            self.make_room(limit);
        }
        let producer = self.entries.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            coordinator_epoch: -1,
            last_timestamp: header.max_timestamp,
            transaction_first_offset: None,
            batches: Vec::new(),
            last_offset: header.last_offset(),
            silent_since_ms: None,
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer.last_timestamp = header.max_timestamp;
        producer.last_offset = header.last_offset();
        producer.silent_since_ms = None;
        if header.is_control() {
            // Control batches carry no sequence; the producer's next one starts where it likes.
            let marker = marker?;
            producer.coordinator_epoch = marker.coordinator_epoch;
            let first_offset = producer.transaction_first_offset.take()?;
            self.ongoing.remove(&first_offset);
            let last_offset = header.last_offset();
            self.unreplicated.insert(first_offset, last_offset);
            let producer_id = header.producer_id;
            return Some(Completed { producer_id, first_offset, last_offset, aborted: !marker.is_commit });
        }
        if header.base_sequence >= 0 {
            producer.remember(Appended {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            });
        }
        if header.is_transactional() && producer.transaction_first_offset.is_none() {
            producer.transaction_first_offset = Some(header.base_offset);
            self.ongoing.insert(header.base_offset, header.producer_id);
        }
        None
    }

    /// Forgets producers that were silent for too long. Silence counts from the first of these calls that found
    /// no new batch: records carry the producer's time, and those of a restarted broker's log are as old as they
    /// like, so neither says when a producer was last heard of.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.entries.retain(|_, producer| {
            let since_ms = *producer.silent_since_ms.get_or_insert(now_ms);
            producer.transaction_first_offset.is_some() || now_ms.saturating_sub(since_ms) < expiration_ms
        });
    }

    fn make_room(&mut self, limit: usize) {
        let mut silent: Vec<(i64, i64)> = self
            .entries
            .iter()
            .filter(|(_, producer)| producer.transaction_first_offset.is_none())
            .map(|(id, producer)| (producer.last_offset, *id))
            .collect();
        silent.sort_unstable();
        let surplus = (self.entries.len() + 1).saturating_sub(limit);
        for (_, id) in silent.into_iter().take(surplus.max(limit / EVICTED_PART)) {
            self.entries.remove(&id);
        }
    }

    /// Where the oldest open transaction begins.
    pub(crate) fn first_ongoing_offset(&self) -> Option<i64> {
        self.ongoing.first_key_value().map(|(first, _)| *first)
    }

    /// The first offset that a reader of committed records must not reach.
    pub(crate) fn first_unstable_offset(&self) -> Option<i64> {
        let ongoing = self.first_ongoing_offset();
        let unreplicated = self.unreplicated.first_key_value().map(|(first, _)| *first);
        match (ongoing, unreplicated) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The last stable offset as it will be once the transaction that ends at `last_offset` is replicated.
    pub(crate) fn last_stable_after(&self, completed: &Completed) -> i64 {
        self.ongoing
            .keys()
            .copied()
            .find(|first| *first != completed.first_offset)
            .unwrap_or(completed.last_offset + 1)
    }

    /// The high watermark has moved: transactions whose marker is below it are settled.
    pub(crate) fn replicated_up_to(&mut self, high_watermark: i64) {
        self.unreplicated.retain(|_, last| *last >= high_watermark);
    }

    /// Takes over, after the log was cut at `end` and its producers learned anew, which ended transactions are not
    /// replicated; a snapshot does not say.
    pub(crate) fn inherit(&mut self, before: &Self, end: i64) {
        let left = before.unreplicated.iter().filter(|(_, last)| **last < end);
        self.unreplicated.extend(left.map(|(first, last)| (*first, *last)));
    }

    /// Puts back one entry of a snapshot: a producer and one of its batches, of which the newest comes last.
    pub(crate) fn restore(&mut self, id: i64, mut producer: Producer, batch: Option<Appended>) {
        if let Some(earlier) = self.entries.remove(&id)
            && earlier.epoch == producer.epoch
        {
            producer.batches = earlier.batches;
        }
        if let Some(batch) = batch {
            producer.last_offset = batch.last_offset;
            producer.remember(batch);
        }
        if let Some(first) = producer.transaction_first_offset {
            self.ongoing.insert(first, id);
        }
        self.entries.insert(id, producer);
    }

    /// Memory that idle logs should not keep.
    pub(crate) fn shrink(&mut self) {
        self.entries.values_mut().for_each(|producer| producer.batches.shrink_to_fit());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100;

    fn batch(id: i64, epoch: i16, sequence: i32, offset: i64, records: i32) -> Header {
        Header {
            base_offset: offset,
            batch_length: 100,
            leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: offset,
            max_timestamp: offset,
            producer_id: id,
            producer_epoch: epoch,
            base_sequence: sequence,
            record_count: records,
        }
    }

    fn transactional(mut header: Header) -> Header {
        header.attributes |= 0x10;
        header
    }

    fn control(mut header: Header) -> Header {
        header.attributes |= 0x30;
        header.base_sequence = -1;
        header
    }

    #[test]
    fn sequences_follow_and_the_last_five_are_recognised() {
        let mut producers = Producers::default();
        for n in 0..7 {
            let header = batch(1, 0, n * 10, i64::from(n) * 10, 10);
            assert_eq!(producers.judge(&header), Ok(Verdict::New));
            producers.appended(&header, None, LIMIT);
        }
        match producers.judge(&batch(1, 0, 20, -1, 10)) {
            Ok(Verdict::Duplicate(found)) => assert_eq!(found.last_offset, 29),
            other => panic!("{other:?}"),
        }
        // The second batch is no longer remembered, a gap is a gap, a different cut is not a duplicate.
        for refused in [batch(1, 0, 10, -1, 10), batch(1, 0, 80, -1, 10), batch(1, 0, 60, -1, 5)] {
            assert!(matches!(producers.judge(&refused), Err(ProducerError::OutOfOrderSequence { .. })));
        }
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_shuts_out_the_old_one() {
        let mut producers = Producers::default();
        producers.appended(&batch(1, 3, 5, 0, 1), None, LIMIT);
        assert!(matches!(
            producers.judge(&batch(1, 4, 6, 1, 1)),
            Err(ProducerError::OutOfOrderSequence { .. })
        ));
        assert_eq!(producers.judge(&batch(1, 4, 0, 1, 1)), Ok(Verdict::New));
        producers.appended(&batch(1, 4, 0, 1, 1), None, LIMIT);
        assert!(matches!(producers.judge(&batch(1, 3, 6, 2, 1)), Err(ProducerError::InvalidEpoch { .. })));
    }

    #[test]
    fn sequences_wrap() {
        let mut producers = Producers::default();
        producers.appended(&batch(1, 0, i32::MAX - 1, 0, 4), None, LIMIT);
        assert_eq!(producers.judge(&batch(1, 0, 2, 4, 1)), Ok(Verdict::New));
        assert!(matches!(producers.judge(&batch(1, 0, i32::MAX - 1, 4, 4)), Ok(Verdict::Duplicate(_))));
    }

    #[test]
    fn transactions_hold_back_the_stable_offset_until_their_marker_is_replicated() {
        let mut producers = Producers::default();
        producers.appended(&transactional(batch(1, 0, 0, 10, 5)), None, LIMIT);
        producers.appended(&transactional(batch(2, 0, 0, 15, 5)), None, LIMIT);
        assert_eq!(producers.first_unstable_offset(), Some(10));
        let marker = Marker { is_commit: false, coordinator_epoch: 0 };
        let completed = producers.appended(&control(batch(1, 0, -1, 20, 1)), Some(marker), LIMIT).unwrap();
        assert_eq!((completed.first_offset, completed.last_offset, completed.aborted), (10, 20, true));
        assert_eq!(producers.last_stable_after(&completed), 15);
        assert_eq!(producers.first_unstable_offset(), Some(10));
        producers.replicated_up_to(21);
        assert_eq!(producers.first_unstable_offset(), Some(15));
    }

    #[test]
    fn the_table_is_bounded_and_open_transactions_stay() {
        let mut producers = Producers::default();
        producers.appended(&transactional(batch(0, 0, 0, 0, 1)), None, 16);
        for id in 1..1000 {
            producers.appended(&batch(id, 0, 0, id, 1), None, 16);
            assert!(producers.len() <= 16);
        }
        assert!(producers.entries.contains_key(&0) && producers.entries.contains_key(&999));
        // Their records tell of the first seconds of 1970, which says nothing about when they were sent.
        producers.expire(50_000, 4_000);
        assert!(producers.len() > 2);
        producers.appended(&batch(999, 0, 1, 1_000, 1), None, 16);
        producers.expire(54_000, 4_000);
        assert_eq!(producers.entries.keys().copied().collect::<Vec<_>>(), [0, 999]);
    }
}
