//! Small text files at the top of the data directory that say something about every log: up to where it is
//! on disk, where it begins, what is replicated. Kafka's format: a version, a count, one line a partition.
//!
//! They are replaced as a whole. A damaged or missing one costs time (more is scanned), never records.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One offset for each partition.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// The file's content.
pub(crate) fn encode<'a>(offsets: impl Iterator<Item = (&'a str, i32, i64)>) -> String {
    let mut lines = String::new();
    let mut count = 0usize;
    for (topic, partition, offset) in offsets {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{topic} {partition} {offset}");
        count += 1;
    }
    format!("0\n{count}\n{lines}")
}

/// Reads the content; `None` when it is damaged.
pub(crate) fn decode(content: &[u8]) -> Option<Offsets> {
    let content = std::str::from_utf8(content).ok()?;
    let mut lines = content.lines();
    if lines.next()? != "0" {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let mut offsets = Offsets::new();
    for line in lines {
        let mut words = line.split(' ');
        let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        offsets.insert((topic.to_owned(), partition.parse().ok()?), offset.parse().ok()?);
    }
    (offsets.len() == count).then_some(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_both_ways_and_refuses_damage() {
        let content = encode([("a-b", 0, 17), ("c.d", 12, 0)].into_iter());
        assert_eq!(content, "0\n2\na-b 0 17\nc.d 12 0\n");
        let offsets = decode(content.as_bytes()).unwrap();
        assert_eq!(offsets.get(&("c.d".to_owned(), 12)), Some(&0));
        assert_eq!(offsets.len(), 2);
        for damaged in ["", "0\n", "0\n1\n", "0\n1\na 0 1 2\n", "0\n1\na 0 x\n", "1\n0\n"] {
            assert_eq!(decode(damaged.as_bytes()), None, "{damaged:?}");
        }
    }
}
