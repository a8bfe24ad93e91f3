//! What each setting does, in a sentence: DescribeConfigs tells it to tools, `penstock-broker settings` to people.
//!
//! Some settings are accepted because files and tools set them, and have no effect. Each of those says why, here and in a
//! log line at the start: nobody should believe in a setting that does nothing.

use super::topic_keys;

/// What a setting does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doc {
    /// One sentence.
    pub text: &'static str,
    /// Why it has no effect here, if it has none.
    pub no_effect: Option<&'static str>,
}

impl Doc {
    /// All of it, for one field.
    #[must_use]
    pub fn whole(&self) -> String {
        match self.no_effect {
            None => self.text.to_owned(),
            Some(why) => format!("{} It has no effect here: {why}.", self.text),
        }
    }
}

/// What the setting of that name does: of the broker, or of topics.
#[must_use]
pub fn doc(name: &str) -> Option<Doc> {
    let find = |name: &str| DOCS.iter().find(|(of, ..)| *of == name);
    let found = find(name).or_else(|| find(topic_keys::find_by_broker_name(name)?.name));
    found.map(|&(_, text, no_effect)| Doc { text, no_effect })
}

const ONE_BROKER: Option<&str> = Some("there is one broker, so every partition has one replica");
const NOT_TIERED: Option<&str> = Some("only the default is accepted, nothing is tiered");
const ONE_LEVEL: Option<&str> = Some("only the default is accepted, the codec's own level is used");
const OF_TRANSACTIONS: Option<&str> = Some("this broker has no transactions yet");

/// By name; broker-wide defaults of topic settings are described by the topic's.
const DOCS: &[(&str, &str, Option<&str>)] = &[
    (
        "advertised.listeners",
        "What clients are told to connect to, where that differs from what is bound.",
        None,
    ),
    ("auto.create.topics.enable", "Whether a client that asks for a topic makes it.", None),
    ("broker.id", "The same as node.id.", None),
    ("broker.rack", "Where the broker stands; clients are told.", None),
    (
        "cleanup.policy",
        "What happens to old records: delete, compact (the newest of each key stays), or both.",
        None,
    ),
    (
        "cluster.id",
        "The cluster that the data directory belongs to; made at the first start if it is not given.",
        None,
    ),
    ("compression.gzip.level", "How hard gzip tries.", ONE_LEVEL),
    ("compression.lz4.level", "How hard lz4 tries.", ONE_LEVEL),
    ("compression.type", "How batches are stored; `producer` leaves them as they came.", None),
    ("compression.zstd.level", "How hard zstd tries.", ONE_LEVEL),
    ("connections.max.idle.ms", "A connection without a request for so long is closed.", None),
    ("default.replication.factor", "Replicas of a topic when nobody says.", ONE_BROKER),
    ("delete.retention.ms", "How long a tombstone of a compacted topic stays readable.", None),
    ("delete.topic.enable", "Whether topics can be deleted.", None),
    ("fetch.max.bytes", "Most bytes of records in one answer to a fetch.", None),
    (
        "file.delete.delay.ms",
        "How long a file that is out of use stays.",
        Some("files go at once, and reads in progress keep theirs open"),
    ),
    (
        "flush.messages",
        "So many records are flushed to the disk together, before the last of them is acknowledged.",
        None,
    ),
    ("flush.ms", "Records are flushed to the disk when they are so old, a second later at most.", None),
    ("follower.replication.throttled.replicas", "Followers that copy slowly.", ONE_BROKER),
    (
        "group.initial.rebalance.delay.ms",
        "How long the first member of an empty group waits for others; 100 ms at least.",
        None,
    ),
    ("group.max.session.timeout.ms", "Longest time that a member may be silent.", None),
    ("group.max.size", "Members of one group.", None),
    ("group.min.session.timeout.ms", "Shortest time that a member may be silent.", None),
    ("index.interval.bytes", "One entry in the index for so many bytes of the log.", None),
    ("leader.replication.throttled.replicas", "Leaders that are copied from slowly.", ONE_BROKER),
    ("listeners", "Where to listen: PLAINTEXT://host:port, SSL://host:port, or both.", None),
    ("local.retention.bytes", "Bytes that stay on the broker's own disk.", NOT_TIERED),
    ("local.retention.ms", "How long records stay on the broker's own disk.", NOT_TIERED),
    ("log.cleaner.backoff.ms", "How long compaction rests between two looks at all logs.", None),
    ("log.cleaner.enable", "Whether compacted topics are compacted.", None),
    ("log.dir", "The same as log.dirs.", None),
    ("log.dirs", "The data directory; there is one.", None),
    (
        "log.flush.offset.checkpoint.interval.ms",
        "How often logs are flushed and it is written down how far they are safe.",
        None,
    ),
    (
        "log.retention.check.interval.ms",
        "How often records that are too old or too many are looked for.",
        None,
    ),
    ("log.retention.hours", "log.retention.ms in hours; that and minutes take precedence.", None),
    ("log.retention.minutes", "log.retention.ms in minutes; that takes precedence.", None),
    ("log.roll.hours", "log.roll.ms in hours; that takes precedence.", None),
    ("log.roll.jitter.hours", "log.roll.jitter.ms in hours; that takes precedence.", None),
    (
        "max.compaction.lag.ms",
        "Records of a compacted topic older than this are compacted even if few are dirty.",
        None,
    ),
    ("max.connections", "Connections in all.", None),
    ("max.connections.per.ip", "Connections from one address.", None),
    ("max.incremental.fetch.session.cache.slots", "Fetch sessions that are remembered.", None),
    ("max.message.bytes", "Largest batch that a producer may send.", None),
    ("max.request.partition.size.limit", "Partitions in one answer to DescribeTopicPartitions.", None),
    ("message.timestamp.after.max.ms", "How far a record's time may lie ahead of the broker's.", None),
    ("message.timestamp.before.max.ms", "How far a record's time may lie behind the broker's.", None),
    (
        "message.timestamp.type",
        "Whose time a record carries: the producer's (CreateTime) or the broker's (LogAppendTime).",
        None,
    ),
    (
        "min.cleanable.dirty.ratio",
        "Share of a compacted log that must be dirty before it is compacted.",
        None,
    ),
    ("min.compaction.lag.ms", "Records younger than this are not compacted.", None),
    ("min.insync.replicas", "Replicas that must have a batch before acks=all succeeds.", None),
    ("node.id", "This broker's id.", None),
    ("num.network.threads", "Threads that serve clients.", None),
    ("num.partitions", "Partitions of a topic when nobody says.", None),
    ("offset.metadata.max.bytes", "Longest text that a client may store with an offset.", None),
    ("offsets.retention.check.interval.ms", "How often offsets that nobody needs are looked for.", None),
    ("offsets.retention.minutes", "How long offsets outlive their group.", None),
    ("offsets.topic.num.partitions", "Partitions of __consumer_offsets; counts when that is made.", None),
    ("offsets.topic.replication.factor", "Replicas of __consumer_offsets.", ONE_BROKER),
    ("offsets.topic.segment.bytes", "Segment size of __consumer_offsets; counts when that is made.", None),
    (
        "penstock.admin.listener",
        "Where health, metrics and log level are served by HTTP, as host:port.",
        None,
    ),
    ("penstock.cleaner.cpu.percent", "Share of one core that compaction may use.", None),
    (
        "penstock.durability",
        "When a batch is acknowledged: `page-cache` or, once it is on the disk, `fsync`.",
        None,
    ),
    ("penstock.fetch.max.wait.ms", "Longest wait that a fetch can ask for.", None),
    ("penstock.group.max.count", "Groups in all.", None),
    ("penstock.instance", "A word by which whoever started the process knows it again.", None),
    (
        "penstock.max.answer.bytes",
        "Bytes of long answers that clients do not take; beyond, those that take nothing lose their connection.",
        None,
    ),
    ("penstock.max.decompressed.bytes", "Largest size that one compressed batch may have when open.", None),
    ("penstock.max.partitions", "Partitions of all topics.", None),
    ("penstock.max.partitions.per.topic", "Partitions of one topic.", None),
    ("penstock.max.producers.per.partition", "Idempotent producers that one partition remembers.", None),
    ("penstock.read.stall.ms", "A request that began must be complete after so long.", None),
    (
        "penstock.ssl.revoked.sha256",
        "Client certificates that are refused, by the SHA-256 of their DER.",
        None,
    ),
    ("penstock.stop.grace.ms", "How long a stop waits for requests in progress.", None),
    ("penstock.write.stall.ms", "A client that takes nothing of its answer for so long is closed.", None),
    ("preallocate", "Whether files are made at their full size.", Some("files grow as needed")),
    ("producer.id.expiration.ms", "An idempotent producer that is silent for so long is forgotten.", None),
    (
        "queued.max.request.bytes",
        "Bytes of requests that are read and not answered, of all connections together.",
        None,
    ),
    ("remote.log.copy.disable", "Whether segments stop being tiered.", NOT_TIERED),
    ("remote.log.delete.on.disable", "Whether tiered segments go when tiering ends.", NOT_TIERED),
    ("remote.storage.enable", "Whether segments are tiered.", NOT_TIERED),
    ("retention.bytes", "Bytes of one partition beyond which its oldest segments go; -1 for no bound.", None),
    ("retention.ms", "Age beyond which records go; -1 for no bound.", None),
    ("segment.bytes", "Size at which a segment is closed.", None),
    ("segment.index.bytes", "Size of a segment's index at which the segment is closed.", None),
    ("segment.jitter.ms", "Random part of segment.ms, so that not all segments are closed at once.", None),
    ("segment.ms", "Age at which a segment is closed.", None),
    ("socket.request.max.bytes", "Largest request.", None),
    ("ssl.client.auth", "Whether TLS clients must show a certificate: none or required.", None),
    ("ssl.keystore.location", "PEM file: the broker's certificates and key.", None),
    ("ssl.truststore.location", "PEM file: the authorities that sign clients' certificates.", None),
    ("telemetry.max.bytes", "Bytes in one report of a client's metrics.", None),
    (
        "transaction.state.log.min.isr",
        "Replicas of transaction state that must have a record.",
        OF_TRANSACTIONS,
    ),
    ("transaction.state.log.replication.factor", "Replicas of transaction state.", OF_TRANSACTIONS),
    (
        "unclean.leader.election.enable",
        "Whether a replica that lacks records may lead.",
        Some("there is one broker, and nobody else could lead"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KEYS;
    use crate::config::topic_keys::TOPIC_KEYS;

    #[test]
    fn every_setting_is_described_and_nothing_else() {
        assert!(DOCS.windows(2).all(|pair| pair[0].0 < pair[1].0), "keep the table sorted by name");
        let names = || KEYS.iter().map(|key| key.name).chain(TOPIC_KEYS.iter().map(|key| key.name));
        let missing: Vec<&str> = names().filter(|name| doc(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let stale: Vec<&str> =
            DOCS.iter().map(|(name, ..)| *name).filter(|name| !names().any(|known| known == *name)).collect();
        assert!(stale.is_empty(), "{stale:?}");
        assert_eq!(doc("log.segment.bytes"), doc("segment.bytes"), "broker-wide defaults are the topic's");
    }
}
