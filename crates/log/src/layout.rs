//! Names of files and directories, as Apache Kafka has them.
//!
//! ```text
//! DATA/recovery-point-offset-checkpoint      up to where each log is known to be on disk
//! DATA/log-start-offset-checkpoint           where logs begin whose first records were deleted by request
//! DATA/replication-offset-checkpoint         high watermarks
//! DATA/.kafka_cleanshutdown                  there when the last process stopped in an orderly way
//! DATA/orders-0/partition.metadata           the topic's id
//! DATA/orders-0/leader-epoch-checkpoint      where each leader's records begin
//! DATA/orders-0/00000000000000000000.log     record batches; the number is the first offset
//! DATA/orders-0/00000000000000000000.index, .timeindex, .txnindex, .snapshot
//! ```

use std::path::{Path, PathBuf};

/// A directory of this suffix waits to be removed.
pub(crate) const DELETED_DIR_SUFFIX: &str = "-delete";
/// The topic id of a partition.
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
/// Where each leader's records begin.
pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";

/// There while the end of a log is being cut off. It need not be durable: after a loss of power there is nothing left
/// that could still be undone.
pub(crate) const CUT_IN_PROGRESS: &str = "cut-in-progress";

/// What a file of a partition holds, told by its suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Record batches.
    Log,
    /// Offset to position.
    Index,
    /// Timestamp to offset.
    TimeIndex,
    /// Aborted transactions.
    TxnIndex,
    /// Producers as of the offset in the name.
    Snapshot,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Log, Self::Index, Self::TimeIndex, Self::TxnIndex, Self::Snapshot];

    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Index => "index",
            Self::TimeIndex => "timeindex",
            Self::TxnIndex => "txnindex",
            Self::Snapshot => "snapshot",
        }
    }
}

/// A file that was renamed on its way in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In use.
    Live,
    /// Waits to be removed.
    Deleted,
    /// Compaction's output, unfinished: worthless after a crash.
    Cleaned,
    /// Compaction's output, complete: takes the place of what it covers.
    Swap,
}

impl State {
    fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Deleted => ".deleted",
            Self::Cleaned => ".cleaned",
            Self::Swap => ".swap",
        }
    }
}

/// Name of a segment's file.
pub(crate) fn file_name(base_offset: i64, kind: Kind, state: State) -> String {
    format!("{base_offset:020}.{}{}", kind.suffix(), state.suffix())
}

/// Path of a segment's file.
pub(crate) fn file_path(dir: &Path, base_offset: i64, kind: Kind, state: State) -> PathBuf {
    dir.join(file_name(base_offset, kind, state))
}

/// The reverse of [`file_name`]; `None` for names that are not ours.
pub(crate) fn parse_file_name(name: &str) -> Option<(i64, Kind, State)> {
    let mut parts = name.split('.');
    let digits = parts.next()?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let base_offset = digits.parse().ok()?;
    let kind_suffix = parts.next()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.suffix() == kind_suffix)?;
    let state = match parts.next() {
        None => State::Live,
        Some("deleted") => State::Deleted,
        Some("cleaned") => State::Cleaned,
        Some("swap") => State::Swap,
        Some(_) => return None,
    };
    parts.next().is_none().then_some((base_offset, kind, state))
}

/// Name of a partition's directory.
pub(crate) fn partition_dir(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The reverse of [`partition_dir`]; `None` for other directories.
pub(crate) fn parse_partition_dir(name: &str) -> Option<(&str, i32)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let canonical = partition.bytes().all(|byte| byte.is_ascii_digit())
        && (partition == "0" || !partition.starts_with('0'));
    if topic.is_empty() || partition.is_empty() || !canonical {
        return None;
    }
    Some((topic, partition.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_go_both_ways() {
        for kind in Kind::ALL {
            for state in [State::Live, State::Deleted, State::Cleaned, State::Swap] {
                assert_eq!(parse_file_name(&file_name(170_042, kind, state)), Some((170_042, kind, state)));
            }
        }
        for stranger in
            ["00000000000000000000", "0.log", "00000000000000000000.log.old", "partition.metadata", "x"]
        {
            assert_eq!(parse_file_name(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn partition_directories_go_both_ways() {
        assert_eq!(parse_partition_dir(&partition_dir("a-b.c_d", 12)), Some(("a-b.c_d", 12)));
        for stranger in ["orders", "orders-", "-1", "orders-01", "orders--1x", "orders-0.uuid-delete"] {
            assert_eq!(parse_partition_dir(stranger), None, "{stranger}");
        }
    }
}
