//! The offsets that a group has committed.

use std::collections::BTreeMap;

use protocol::Str;
use uuid::Uuid;

/// What an offset costs besides its metadata: its place in the map.
pub(super) const OFFSET_OVERHEAD_BYTES: usize = 100;

/// What a topic costs besides its name.
const TOPIC_OVERHEAD_BYTES: usize = 160;

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) metadata: Str,
    /// When, by the wall clock.
    pub(super) at_ms: i64,
    /// When it ends, if the client asked for a retention of its own (version 4 and earlier).
    pub(super) expires_at_ms: Option<i64>,
}

/// The offsets of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TopicOffsets {
    /// The topic's id when it was last committed to; nil if the client's broker did not know it.
    pub(super) id: Uuid,
    pub(super) partitions: BTreeMap<i32, Committed>,
}

impl TopicOffsets {
    /// Whether they are offsets of the topic with this id, as far as the ids are known.
    pub(super) fn is_of(&self, topic_id: Uuid) -> bool {
        self.id.is_nil() || topic_id.is_nil() || self.id == topic_id
    }
}

/// All offsets of a group, and how many and how large they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    topics: BTreeMap<Str, TopicOffsets>,
    count: usize,
    bytes: usize,
}

impl Offsets {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = (&Str, &TopicOffsets)> {
        self.topics.iter()
    }

    pub(super) fn topic(&self, topic: &str) -> Option<&TopicOffsets> {
        self.topics.get(topic)
    }

    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.topics.get(topic)?.partitions.get(&partition)
    }

    /// Every partition that has one.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (&Str, i32, &Committed)> {
        self.topics
            .iter()
            .flat_map(|(name, topic)| topic.partitions.iter().map(move |(at, it)| (name, *at, it)))
    }

    /// Remembers an offset; those of an earlier topic of that name are worth nothing then. Strings are copied out of
    /// whatever frame they lie in.
    pub(super) fn put(&mut self, topic: &Str, id: Uuid, partition: i32, committed: &Committed) {
        let entry = match self.topics.get_mut(topic) {
            Some(entry) => entry,
            None => {
                self.bytes += TOPIC_OVERHEAD_BYTES + topic.len();
                self.topics.entry(topic.detached()).or_default()
            }
        };
        if !entry.is_of(id) {
            let before: usize =
                entry.partitions.values().map(|it| OFFSET_OVERHEAD_BYTES + it.metadata.len()).sum();
            self.bytes -= before;
            self.count -= entry.partitions.len();
            entry.partitions.clear();
        }
        entry.id = id;
        let metadata = committed.metadata.detached();
        self.bytes += OFFSET_OVERHEAD_BYTES + metadata.len();
        match entry.partitions.insert(partition, Committed { metadata, ..committed.clone() }) {
            Some(before) => self.bytes -= OFFSET_OVERHEAD_BYTES + before.metadata.len(),
            None => self.count += 1,
        }
    }

    pub(super) fn remove(&mut self, topic: &str, partition: i32) -> bool {
        let Some(entry) = self.topics.get_mut(topic) else { return false };
        let Some(before) = entry.partitions.remove(&partition) else { return false };
        self.count -= 1;
        self.bytes -= OFFSET_OVERHEAD_BYTES + before.metadata.len();
        if entry.partitions.is_empty() {
            self.topics.remove(topic);
            self.bytes -= TOPIC_OVERHEAD_BYTES + topic.len();
        }
        true
    }
}
