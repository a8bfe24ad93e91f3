//! Where each leader's records begin, kept in Kafka's `leader-epoch-checkpoint`.
//!
//! A follower asks a leader "where did epoch 7 end with you" to find how much of its own log they share. The
//! answer comes from here, never from reading batches.

use std::fmt::Write as _;

/// "No such epoch" on the wire.
pub(crate) const UNDEFINED: i32 = -1;

/// The first offset of a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) epoch: i32,
    pub(crate) offset: i64,
}

/// Leader epochs of a log, both fields strictly ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Epochs {
    starts: Vec<Start>,
    /// Counts changes, so that whoever writes the file knows what it holds.
    version: u64,
}

/// Where an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch known that is not above the requested one; -1 when there is none.
    pub leader_epoch: i32,
    /// The offset after its last record; -1 when there is none.
    pub end_offset: i64,
}

impl Epochs {
    pub(crate) fn latest(&self) -> Option<i32> {
        self.starts.last().map(|start| start.epoch)
    }

    /// Notes that records from `offset` on are of `epoch`. Older epochs than the latest are no news.
    pub(crate) fn assign(&mut self, epoch: i32, offset: i64) {
        if epoch < 0 || self.latest().is_some_and(|latest| epoch <= latest) {
            return;
        }
        // An epoch that began at or behind this offset has no records: its leader never appended.
        while self.starts.last().is_some_and(|last| last.offset >= offset) {
            self.starts.pop();
        }
        self.starts.push(Start { epoch, offset });
        self.version += 1;
    }

    /// Where `epoch` ended in a log that ends at `log_end_offset`.
    pub(crate) fn end_of(&self, epoch: i32, log_end_offset: i64) -> EpochEnd {
        let after = self.starts.partition_point(|start| start.epoch <= epoch);
        match (after.checked_sub(1).map(|at| self.starts[at]), self.starts.get(after)) {
            (Some(start), Some(next)) => EpochEnd { leader_epoch: start.epoch, end_offset: next.offset },
            // An epoch above all we know: we cannot say where it ends.
            (Some(start), None) if start.epoch == epoch => {
                EpochEnd { leader_epoch: epoch, end_offset: log_end_offset }
            }
            // Older than everything still here: the first known epoch begins where it ended.
            (None, Some(next)) if epoch >= 0 => EpochEnd { leader_epoch: epoch, end_offset: next.offset },
            _ => EpochEnd { leader_epoch: UNDEFINED, end_offset: -1 },
        }
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn of_offset(&self, offset: i64) -> Option<i32> {
        let after = self.starts.partition_point(|start| start.offset <= offset);
        after.checked_sub(1).map(|at| self.starts[at].epoch)
    }

    /// The log now ends at `offset`.
    pub(crate) fn truncate_end(&mut self, offset: i64) {
        let keep = self.starts.partition_point(|start| start.offset < offset);
        if keep < self.starts.len() {
            self.starts.truncate(keep);
            self.version += 1;
        }
    }

    /// The log now begins at `offset`.
    pub(crate) fn truncate_start(&mut self, offset: i64) {
        let ended = self.starts.partition_point(|start| start.offset <= offset);
        // The epoch in which `offset` lies stays, beginning there.
        if let Some(current) = ended.checked_sub(1)
            && (current > 0 || self.starts[0].offset < offset)
        {
            self.starts.drain(..current);
            self.starts[0].offset = offset;
            self.version += 1;
        }
    }

    /// Grows with every change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The content of the file.
    pub(crate) fn encode(&self) -> String {
        let mut out = format!("0\n{}\n", self.starts.len());
        for start in &self.starts {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{} {}", start.epoch, start.offset);
        }
        out
    }

    /// Reads the file; `None` when it is not one.
    pub(crate) fn parse(content: &str) -> Option<Self> {
        let mut lines = content.lines();
        if lines.next()?.trim() != "0" {
            return None;
        }
        let count: usize = lines.next()?.trim().parse().ok()?;
        let mut epochs = Self::default();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let (epoch, offset) = line.trim().split_once(' ')?;
            epochs.starts.push(Start { epoch: epoch.parse().ok()?, offset: offset.trim().parse().ok()? });
        }
        let ascending =
            epochs.starts.windows(2).all(|w| w[0].epoch < w[1].epoch && w[0].offset < w[1].offset);
        (epochs.starts.len() == count && ascending).then_some(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(starts: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        starts.iter().for_each(|(epoch, offset)| epochs.assign(*epoch, *offset));
        epochs
    }

    fn end(leader_epoch: i32, end_offset: i64) -> EpochEnd {
        EpochEnd { leader_epoch, end_offset }
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let known = epochs(&[(2, 10), (4, 20), (7, 35)]);
        assert_eq!(known.end_of(2, 50), end(2, 20));
        assert_eq!(known.end_of(3, 50), end(2, 20));
        assert_eq!(known.end_of(7, 50), end(7, 50));
        assert_eq!(known.end_of(8, 50), end(UNDEFINED, -1));
        assert_eq!(known.end_of(1, 50), end(1, 10));
        assert_eq!(Epochs::default().end_of(0, 50), end(UNDEFINED, -1));
        assert_eq!(known.of_offset(19), Some(2));
        assert_eq!(known.of_offset(9), None);
    }

    #[test]
    fn a_leader_without_records_leaves_no_trace() {
        assert_eq!(epochs(&[(1, 0), (2, 5), (3, 5)]).encode(), "0\n2\n1 0\n3 5\n");
        assert_eq!(epochs(&[(1, 0), (1, 5), (0, 7)]).encode(), "0\n1\n1 0\n");
    }

    #[test]
    fn both_ends_can_be_cut() {
        let mut cut = epochs(&[(2, 10), (4, 20), (7, 35)]);
        cut.truncate_end(35);
        assert_eq!(cut.end_of(4, 35), end(4, 35));
        cut.truncate_start(25);
        assert_eq!(cut.starts, [Start { epoch: 4, offset: 25 }]);
        cut.truncate_end(0);
        assert_eq!(cut.latest(), None);
    }

    #[test]
    fn the_file_goes_both_ways() {
        let content = epochs(&[(2, 10), (4, 20)]).encode();
        assert_eq!(content, "0\n2\n2 10\n4 20\n");
        assert_eq!(Epochs::parse(&content).unwrap().encode(), content);
        for damaged in ["", "1\n0\n", "0\n2\n2 10\n", "0\n2\n4 20\n2 10\n", "0\n1\nx 1\n"] {
            assert!(Epochs::parse(damaged).is_none(), "{damaged:?}");
        }
    }
}
