//! The thin path: topics, records in, records out, waiting.

use std::time::Duration;

use protocol::ErrorCode;
use protocol::batch::{Builder, Compression};
use protocol::legacy::Magic;
use protocol::messages::api_versions::ApiVersionsRequest;
use protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use protocol::messages::delete_topics::DeleteTopicsRequest;
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::fetch::FetchRequest;
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

use super::client::{Client, batch, build, code, fetch_request, numbered, produce_request, values};
use super::process::{Broker, pause};

#[test]
fn records_come_back_as_they_went_in_with_every_compression() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 2, &[]), 0);
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for (at, codec) in codecs.into_iter().enumerate() {
        let produced = client.produce("t", 1, build(Builder::new(codec), &["a", "b"]));
        assert_eq!((produced.error_code, produced.base_offset), (0, at as i64 * 2), "{codec:?}");
    }
    assert_eq!(values(&client.fetch("t", 1, 0, 0)), ["a", "b"].repeat(codecs.len()));
    // An offset inside of a batch gets the batch that covers it.
    assert_eq!(values(&client.fetch("t", 1, 9, 0)), ["a", "b"]);
    assert_eq!(client.fetch("t", 1, 11, 0).error_code, code(ErrorCode::OffsetOutOfRange));
    assert_eq!((client.offset("t", 1, -2), client.offset("t", 1, -1)), (0, 10));
    assert_eq!(client.offset("t", 1, 1_700_000_000_000), 0);
    assert_eq!(client.offset("t", 1, 1_700_000_000_001), -1);
}

#[test]
fn asking_for_a_topic_makes_it_and_its_id_finds_it() {
    let broker = Broker::start(&["num.partitions=3"]);
    let mut client = Client::connect(&broker);
    let wanted = MetadataRequestTopic { name: Some("new".into()), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(vec![wanted]),
        allow_auto_topic_creation: true,
        ..MetadataRequest::default()
    };
    let response = client.call(12, &request);
    let topic = &response.topics[0];
    assert_eq!((topic.error_code, topic.partitions.len()), (0, 3));
    let by_id = MetadataRequestTopic { name: None, topic_id: topic.topic_id };
    let request = MetadataRequest { topics: Some(vec![by_id]), ..MetadataRequest::default() };
    assert_eq!(client.call(12, &request).topics[0].name.as_deref(), Some("new"));
    assert_eq!(client.create("new", 1, &[]), code(ErrorCode::TopicAlreadyExists));
    assert_eq!(client.create("a/b", 1, &[]), code(ErrorCode::InvalidTopicException));
    assert_eq!(client.create("x", 1, &[("retention.ms", "soon")]), code(ErrorCode::InvalidConfig));
}

#[test]
fn a_waiting_fetch_is_woken_by_the_append() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let mut waiting = Client::connect(&broker);
    waiting.send(11, &fetch_request("t", 0, 0, 20_000));
    assert!(super::process::eventually(|| broker.metric("penstock_broker_waiting_fetches") == 1.0));
    client.produce("t", 0, batch(&["late"]));
    // Far sooner than its twenty seconds, or the read timeout of the client ends the test.
    let (_, response) = waiting.receive::<FetchRequest>(11);
    assert_eq!(values(&response.responses[0].partitions[0]), ["late"]);
    assert_eq!(broker.metric("penstock_broker_waiting_fetches"), 0.0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let sent: Vec<i32> = (0..200)
        .map(|at| match at % 3 {
            0 => client.send(
                3,
                &ApiVersionsRequest {
                    client_software_name: "test".into(),
                    client_software_version: "1".into(),
                },
            ),
            1 => client.send(11, &fetch_request("t", 0, 0, 0)),
            _ => client.send(12, &MetadataRequest { topics: Some(Vec::new()), ..Default::default() }),
        })
        .collect();
    for id in sent {
        let frame = client.receive_frame().expect("an answer");
        assert_eq!(frame[..4], id.to_be_bytes());
    }
}

#[test]
fn an_incremental_fetch_tells_only_news() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    client.produce("t", 0, batch(&["a"]));
    let full = FetchRequest { session_id: 0, session_epoch: 0, ..fetch_request("t", 0, 1, 0) };
    let response = client.call(11, &full);
    let id = response.session_id;
    assert!(id > 0);
    assert_eq!(response.responses.len(), 1, "a full fetch tells everything");
    let next = |epoch| FetchRequest {
        session_id: id,
        session_epoch: epoch,
        topics: Vec::new(),
        ..fetch_request("t", 0, 1, 0)
    };
    assert!(client.call(11, &next(1)).responses.is_empty());
    client.produce("t", 0, batch(&["b"]));
    let response = client.call(11, &next(2));
    assert_eq!(values(&response.responses[0].partitions[0]), ["b"]);
    assert_eq!(client.call(11, &next(9)).error_code, code(ErrorCode::InvalidFetchSessionEpoch));
    let unknown = FetchRequest { session_id: id + 1, ..next(1) };
    assert_eq!(client.call(11, &unknown).error_code, code(ErrorCode::FetchSessionIdNotFound));
}

#[test]
fn an_idempotent_producer_writes_once_and_in_order() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let id = client.producer_id();
    assert!(id >= 0);
    assert_eq!(client.produce("t", 0, numbered(id, 0, 0, &["a", "b"])).base_offset, 0);
    assert_eq!(client.produce("t", 0, numbered(id, 0, 2, &["c"])).base_offset, 2);
    // The same again: nothing is written, the first answer is repeated.
    let again = client.produce("t", 0, numbered(id, 0, 0, &["a", "b"]));
    assert_eq!((again.error_code, again.base_offset), (0, 0));
    let gap = client.produce("t", 0, numbered(id, 0, 9, &["z"]));
    assert_eq!(gap.error_code, code(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(values(&client.fetch("t", 0, 0, 0)), ["a", "b", "c"]);
}

#[test]
fn topics_grow_change_shrink_from_the_front_and_go() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let grow = |count| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic { name: "t".into(), count, assignments: None }],
        timeout_ms: 1_000,
        validate_only: false,
    };
    assert_eq!(client.call(3, &grow(3)).results[0].error_code, 0);
    assert_eq!(client.call(3, &grow(2)).results[0].error_code, code(ErrorCode::InvalidPartitions));
    assert_eq!(client.produce("t", 2, batch(&["a", "b"])).error_code, 0);

    let config =
        AlterableConfig { name: "retention.ms".into(), config_operation: 0, value: Some("77".into()) };
    let resource =
        AlterConfigsResource { resource_type: 2, resource_name: "t".into(), configs: vec![config] };
    let alter = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    assert_eq!(client.call(1, &alter).responses[0].error_code, 0);
    let asked = DescribeConfigsResource {
        resource_type: 2,
        resource_name: "t".into(),
        configuration_keys: Some(vec!["retention.ms".into()]),
    };
    let described = client.call(4, &DescribeConfigsRequest { resources: vec![asked], ..Default::default() });
    assert_eq!(described.results[0].configs[0].value.as_deref(), Some("77"));

    let delete = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".into(),
            partitions: vec![DeleteRecordsPartition { partition_index: 2, offset: 1 }],
        }],
        timeout_ms: 1_000,
    };
    let deleted = client.call(2, &delete);
    assert_eq!(deleted.topics[0].partitions[0].low_watermark, 1);
    assert_eq!(client.offset("t", 2, -2), 1);
    assert_eq!(client.fetch("t", 2, 0, 0).error_code, code(ErrorCode::OffsetOutOfRange));

    let gone = DeleteTopicsRequest { topic_names: vec!["t".into()], ..Default::default() };
    assert_eq!(client.call(5, &gone).responses[0].error_code, 0);
    assert_eq!(client.produce("t", 2, batch(&["a"])).error_code, code(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(client.create("t", 3, &[]), 0);
    assert_eq!(client.offset("t", 2, -1), 0, "a new topic of the same name is empty");
}

#[test]
fn the_admin_pages_say_what_is_going_on() {
    let broker = Broker::start(&["penstock.instance=me"]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 4, &[]), 0);
    client.produce("t", 0, batch(&["a", "b"]));
    assert_eq!(broker.admin("GET /livez HTTP/1.1").0, 200);
    assert_eq!(broker.admin("GET /readyz HTTP/1.1"), (200, r#"{"state":"ready"}"#.to_owned()));
    let (status, body) = broker.admin("GET /v1/status HTTP/1.1");
    assert_eq!(status, 200);
    for part in [r#""instance":"me""#, r#""state":"ready""#, r#""topics":1"#, r#""partitions":4"#] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
    assert_eq!(broker.metric("kafka_server_brokertopicmetrics_messagesin_total"), 2.0);
    let set = |level: &str| {
        let body = format!(r#"{{"level":"{level}"}}"#);
        format!(
            "PUT /v1/log-level HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\nhost: x\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    assert_eq!(broker.admin(&set("debug")).0, 200);
    assert_eq!(broker.admin("GET /v1/log-level HTTP/1.1"), (200, r#"{"level":"debug"}"#.to_owned()));
    assert_eq!(broker.admin(&set("a=b=c")).0, 400);
}

#[test]
fn a_topic_that_asks_for_it_is_on_the_disk_before_it_is_acknowledged() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[("penstock.durability", "fsync")]), 0);
    let before = broker.metric("penstock_broker_flush_seconds_count");
    assert_eq!(client.produce("t", 0, batch(&["a"])).error_code, 0);
    assert!(broker.metric("penstock_broker_flush_seconds_count") > before);
    assert_eq!(values(&client.fetch("t", 0, 0, 0)), ["a"]);
}

#[test]
fn a_topic_with_a_flush_time_is_on_the_disk_in_time() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("slow", 1, &[]), 0);
    assert_eq!(client.create("t", 1, &[("flush.ms", "100")]), 0);
    for topic in ["slow", "t"] {
        assert_eq!(client.produce(topic, 0, batch(&["a"])).error_code, 0);
    }
    let flushed = || broker.metric("penstock_broker_aged_flushes_total");
    assert!(super::process::eventually(|| flushed() > 0.0));
    pause(Duration::from_millis(1_200));
    assert_eq!(flushed(), 1.0, "there is nothing new, and the other topic does not ask for it");
}

#[test]
fn old_segments_go_by_themselves() {
    let broker = Broker::start(&["log.retention.check.interval.ms=50", "log.segment.delete.delay.ms=0"]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[("retention.ms", "1"), ("segment.bytes", "1048576")]), 0);
    client.produce("t", 0, batch(&["old"]));
    assert!(super::process::eventually(|| client.offset("t", 0, -2) == 1), "retention removes it");
    pause(Duration::from_millis(1));
    assert_eq!(client.produce("t", 0, batch(&["new"])).base_offset, 1);
}

#[test]
fn old_clients_write_and_read_message_sets() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[("retention.ms", "-1")]), 0);
    // What Produce 2 carries: one message of format 1 with a key and a value.
    let set =
        protocol::legacy::from_batches(&batch(&["old"]), Magic::V1, 0, 1 << 20, 1 << 20).expect("a set");
    let response = client.call(2, &produce_request("t", 0, set.freeze(), 1));
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    client.produce("t", 0, batch(&["new"]));
    assert_eq!(values(&client.fetch("t", 0, 0, 0)), ["old", "new"], "the log holds batches only");
    for version in 0..=3 {
        let fetched = client.call(version, &fetch_request("t", 0, 0, 0));
        let data = &fetched.responses[0].partitions[0];
        let set = data.records.as_ref().and_then(|records| records.bytes()).expect("records");
        let batch = protocol::legacy::to_batch(set, 1 << 20).expect("a message set").freeze();
        let batch = protocol::batch::Batch::parse(&batch).expect("a batch");
        let values: Vec<_> = batch
            .records(1 << 20)
            .expect("open")
            .map(|record| record.expect("sound").value.expect("a value"))
            .collect();
        assert_eq!(values, ["old", "new"], "version {version}");
    }
    let asked = client.call(
        0,
        &protocol::messages::list_offsets::ListOffsetsRequest {
            replica_id: -1,
            topics: vec![protocol::messages::list_offsets::ListOffsetsTopic {
                name: "t".into(),
                partitions: vec![protocol::messages::list_offsets::ListOffsetsPartition {
                    timestamp: -1,
                    max_num_offsets: 2,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        },
    );
    assert_eq!(asked.topics[0].partitions[0].old_style_offsets, [2, 0]);
}

#[test]
fn a_compacted_topic_keeps_the_newest_of_each_key() {
    let broker = Broker::start(&["log.cleaner.backoff.ms=50", "penstock.cleaner.cpu.percent=100"]);
    let mut client = Client::connect(&broker);
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("segment.ms", "1"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    assert_eq!(client.create("t", 1, &settings), 0);
    let keyed = |time: i64, key: &str, value: &str| {
        let mut builder = Builder::new(Compression::None);
        builder.push(time, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        builder.build().expect("in memory").freeze()
    };
    // Each time is so far from the one before that a new segment begins; the active one is never compacted.
    for (at, (key, value)) in
        [("a", "1"), ("b", "1"), ("a", "2"), ("a", "3"), ("c", "1")].into_iter().enumerate()
    {
        let produced = client.produce("t", 0, keyed(1_700_000_000_000 + at as i64 * 100, key, value));
        assert_eq!(produced.error_code, 0, "{:?}", produced.error_message);
    }
    let newest = || {
        let mut client = Client::connect(&broker);
        values(&client.fetch("t", 0, 0, 0))
    };
    assert!(super::process::eventually(|| newest().len() <= 3), "{:?}", newest());
    assert_eq!(client.offset("t", 0, -1), 5, "offsets stay");
    let without_key = client.produce("t", 0, batch(&["x"]));
    assert_eq!(without_key.error_code, code(ErrorCode::InvalidRecord));
    assert_eq!(without_key.record_errors[0].batch_index, 0, "the record to blame");
}
