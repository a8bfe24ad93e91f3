//! What answers that clients do not take may hold of memory (`penstock.max.answer.bytes`).
//!
//! Records are sent from files and hold nothing, but a list of a hundred thousand partitions is megabytes. An answer
//! cannot wait for room: it is there when its length is known. So answers are counted while they are written, and when
//! there are too many, connections whose clients have taken nothing for a while lose theirs.

use std::sync::Arc;

use crate::metrics::Metrics;

/// Shorter answers are not counted: twenty thousand connections with one each are bounded by the number of connections,
/// and what is sent all day should cost nothing.
const COUNTED_FROM_BYTES: usize = 64 * 1024;

/// The bytes of all long answers.
pub struct AnswerBytes {
    most: i64,
    metrics: Arc<Metrics>,
}

/// A long answer, counted until this is dropped.
pub struct Unsent<'a> {
    bytes: i64,
    all: &'a AnswerBytes,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        self.all.metrics.answer_bytes.sub(self.bytes);
    }
}

impl AnswerBytes {
    /// None yet; `most` is how many there may be.
    #[must_use]
    pub fn new(most: u64, metrics: Arc<Metrics>) -> AnswerBytes {
        AnswerBytes { most: i64::try_from(most).unwrap_or(i64::MAX), metrics }
    }

    /// Counts answers that are about to be written; nothing if they are short.
    pub fn count(&self, bytes: usize) -> Option<Unsent<'_>> {
        if bytes < COUNTED_FROM_BYTES {
            return None;
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.answer_bytes.add(bytes);
        Some(Unsent { bytes, all: self })
    }
}

impl Unsent<'_> {
    /// Whether there are too many: whoever makes no progress must go.
    #[must_use]
    pub fn are_too_many(&self) -> bool {
        self.all.metrics.answer_bytes.get() > self.all.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_are_counted_until_they_are_gone() {
        let metrics = Arc::new(Metrics::new());
        let answers = AnswerBytes::new(150_000, Arc::clone(&metrics));
        assert!(answers.count(1_000).is_none());
        let first = answers.count(100_000).expect("long");
        assert!(!first.are_too_many());
        let second = answers.count(100_000).expect("long");
        assert!(first.are_too_many() && second.are_too_many());
        drop(first);
        assert!(!second.are_too_many());
        drop(second);
        assert_eq!(metrics.answer_bytes.get(), 0);
    }
}
