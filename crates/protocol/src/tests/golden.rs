//! What Apache Kafka's own client library writes, read and written again by us.
//!
//! `tests/golden-bytes/golden.txt` is made by the Java program beside it, whose comment says what the lines are.

use bytes::Bytes;
use uuid::Uuid;

use super::round_trip::recode;
use super::wire;
use crate::batch::{self, Batch, Builder, Checks, Compression, Header, Record};
use crate::legacy::{Magic, from_batches, to_batch};
use crate::messages::fetch::{AbortedTransaction, FetchResponse, LeaderIdAndEpoch};
use crate::messages::{JoinGroupRequest, MetadataResponse};
use crate::{ApiKey, Decoder, Message, Records};

const GOLDEN: &str = include_str!("../../../../tests/golden-bytes/golden.txt");

const CHECKS: Checks = Checks { require_keys: false, decompressed_max_bytes: 1 << 20 };

/// The lines that begin with `kind`: the words behind it, and the bytes at the end.
fn lines(kind: &str) -> Vec<(Vec<&'static str>, Bytes)> {
    let lines = GOLDEN.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    let parsed = lines.map(|line| {
        let mut words: Vec<_> = line.split(' ').collect();
        let hex = words.pop().unwrap();
        (words, unhex(hex).into())
    });
    parsed.collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    if hex == "-" {
        return Vec::new();
    }
    hex.as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn messages_are_byte_for_byte_those_of_apache_kafka() {
    let messages = wire::messages();
    let mut seen = std::collections::BTreeSet::new();
    for kind in ["request", "response"] {
        for (words, bytes) in lines(kind) {
            let [key, version, header] = words.as_slice() else { panic!("{words:?}") };
            let (key, version): (i16, i16) = (key.parse().unwrap(), version.parse().unwrap());
            let message = messages.iter().find(|m| m.kind == kind && m.key == Some(key)).unwrap();
            let what = format!("{} version {version}", message.name);
            let (again, left) = recode(message, version, bytes.clone()).expect(&what);
            assert_eq!(again, bytes, "{what}");
            assert_eq!(left, 0, "{what}: bytes left over");

            let key = ApiKey::try_from(key).unwrap();
            let ours = match kind {
                "request" => key.request_header_version(version),
                _ => key.response_header_version(version),
            };
            assert_eq!(ours.to_string(), *header, "header of {what}");
            seen.insert((key, version));
        }
    }
    // Every version that Kafka has is in the file, so none can be wrong unnoticed.
    for key in ApiKey::ALL {
        let known = key.known_versions();
        for version in known.lowest..=known.highest {
            let is_ours_alone = match key {
                ApiKey::Produce => version < 3,
                ApiKey::Fetch => version < 4,
                ApiKey::ListOffsets => version < 1,
                _ => false,
            };
            assert_eq!(seen.contains(&(*key, version)), !is_ours_alone, "{key} version {version}");
        }
    }
}

fn named<M: Message>(name: &str, version: i16) -> M {
    let (_, bytes) =
        lines("named").into_iter().find(|(words, _)| *words == [name, &version.to_string()]).unwrap();
    M::decode(&mut Decoder::new(bytes), version).unwrap()
}

#[test]
fn fields_mean_what_apache_kafka_calls_them() {
    for version in [5, 9] {
        let join: JoinGroupRequest = named("JoinGroupRequest", version);
        assert_eq!(
            (&*join.group_id, &*join.member_id, &*join.protocol_type),
            ("group", "member", "consumer")
        );
        assert_eq!((join.session_timeout_ms, join.rebalance_timeout_ms), (45_000, 300_000));
        assert_eq!(join.group_instance_id.as_deref(), Some("instance"));
        assert_eq!(join.reason.as_deref(), (version >= 8).then_some("because"));
        assert_eq!((&*join.protocols[0].name, &join.protocols[0].metadata[..]), ("range", &[1, 2][..]));
    }

    let fetch: FetchResponse = named("FetchResponse", 12);
    assert_eq!((fetch.throttle_time_ms, fetch.error_code, fetch.session_id), (7, 0, 99));
    assert_eq!(fetch.responses[0].topic, "orders");
    let partition = &fetch.responses[0].partitions[0];
    assert_eq!((partition.partition_index, partition.preferred_read_replica), (3, 4));
    assert_eq!((partition.high_watermark, partition.last_stable_offset), (1_000, 900));
    assert_eq!(partition.log_start_offset, 10);
    assert_eq!(partition.current_leader, LeaderIdAndEpoch { leader_id: 2, leader_epoch: 5 });
    let aborted = AbortedTransaction { producer_id: 77, first_offset: 800 };
    assert_eq!(partition.aborted_transactions, Some(vec![aborted]));
    assert_eq!(partition.records, Some(Records::Here(Bytes::new())));
    assert_eq!(partition.snapshot_id.end_offset, -1);

    let metadata: MetadataResponse = named("MetadataResponse", 12);
    let broker = &metadata.brokers[0];
    assert_eq!((broker.node_id, &*broker.host, broker.port), (1, "localhost", 9092));
    assert_eq!(broker.rack.as_deref(), Some("rack"));
    assert_eq!((metadata.cluster_id.as_deref(), metadata.controller_id), (Some("cluster"), 1));
    let topic = &metadata.topics[0];
    assert_eq!((topic.name.as_deref(), topic.is_internal), (Some("orders"), true));
    assert_eq!(topic.topic_id, Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10));
    let partition = &topic.partitions[0];
    assert_eq!((partition.partition_index, partition.leader_id, partition.leader_epoch), (3, 1, 5));
    assert_eq!((&partition.replica_nodes[..], &partition.isr_nodes[..]), (&[1, 2][..], &[1][..]));
    assert_eq!(partition.offline_replicas, [2]);
}

type Sample = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// The records that the Java program writes in every format; headers are looked at apart.
fn samples() -> Vec<Sample> {
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    vec![
        (1_700_000_000_000, bytes("first"), bytes("one")),
        (1_700_000_000_500, None, bytes("two")),
        (1_699_999_999_999, bytes("third"), None),
        (1_700_000_000_001, bytes(""), bytes(&"x".repeat(1_000))),
    ]
}

fn read(batch: &Bytes) -> Vec<Record> {
    batch::validate(batch, &Header::parse(batch).unwrap(), CHECKS).unwrap();
    Batch::parse(batch).unwrap().records(1 << 20).unwrap().collect::<Result<_, _>>().unwrap()
}

fn expect_samples(records: &[Record], has_times: bool) {
    let found: Vec<Sample> = records
        .iter()
        .map(|r| (r.timestamp_ms, r.key.as_ref().map(|k| k.to_vec()), r.value.as_ref().map(|v| v.to_vec())))
        .collect();
    let time = |time| if has_times { time } else { -1 };
    let wanted: Vec<Sample> = samples().into_iter().map(|(t, key, value)| (time(t), key, value)).collect();
    assert_eq!(found, wanted);
}

#[test]
fn batches_of_apache_kafka_are_read_in_every_codec() {
    let mut seen = 0;
    for (words, bytes) in lines("records").into_iter().filter(|(words, _)| words[0] == "2") {
        let codec = Compression::from_name(words[1]).unwrap();
        assert_eq!(Header::parse(&bytes).unwrap().compression().unwrap(), codec);
        let records = read(&bytes);
        expect_samples(&records, true);
        let headers = records[0].headers.to_vec().unwrap();
        assert_eq!(headers, [("trace".into(), Some(Bytes::from_static(&[1, 2, 3]))), ("empty".into(), None)]);
        seen += 1;
    }
    assert_eq!(seen, Compression::ALL.len());
}

#[test]
fn our_batch_is_byte_for_byte_that_of_apache_kafka() {
    let (_, theirs) = lines("records").into_iter().find(|(words, _)| *words == ["2", "none"]).unwrap();
    let mut builder = Builder::new(Compression::None);
    for (n, (time, key, value)) in samples().iter().enumerate() {
        let headers: &[(&str, Option<&[u8]>)] = &[("trace", Some(&[1, 2, 3])), ("empty", None)];
        builder.push(*time, key.as_deref(), value.as_deref(), if n == 0 { headers } else { &[] });
    }
    assert_eq!(builder.build().unwrap(), theirs);
}

#[test]
fn message_sets_of_apache_kafka_are_converted_both_ways() {
    let mut seen = 0;
    for (words, bytes) in lines("records").into_iter().filter(|(words, _)| words[0] != "2") {
        let has_times = words[0] == "1";
        let batch = to_batch(&bytes, 1 << 20).unwrap_or_else(|e| panic!("{words:?}: {e}")).freeze();
        expect_samples(&read(&batch), has_times);
        if words[1] == "none" {
            let magic = if has_times { Magic::V1 } else { Magic::V0 };
            assert_eq!(from_batches(&batch, magic, 0, 1 << 20, 1 << 20).unwrap(), bytes, "{words:?}");
        }
        seen += 1;
    }
    // Two formats; none, gzip, snappy and lz4.
    assert_eq!(seen, 8);
}
