//! Bytes from nobody's friend: each gets an error or a closed connection, and the broker goes on.

use std::io::Write;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::batch::{Builder, Compression};
use protocol::messages::api_versions::ApiVersionsRequest;
use protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::{DescribeGroupsRequest, OffsetFetchRequest};
use protocol::{ApiKey, ErrorCode};

use super::client::{Client, batch, build, code, fetch_request, produce_request, values};
use super::process::{Broker, pause};

fn is_well(broker: &Broker) {
    let mut client = Client::connect(broker);
    assert!(client.call(0, &ApiVersionsRequest::default()).api_keys.len() > 10);
}

#[test]
fn lengths_that_cannot_be_close_the_connection() {
    let broker = Broker::start(&[]);
    for prefix in [i32::MAX, -1, i32::MIN, 0, 3, 104_857_601] {
        let mut client = Client::connect(&broker);
        client.stream.write_all(&prefix.to_be_bytes()).expect("sent");
        assert!(client.is_closed(), "{prefix}");
    }
    assert!(broker.logs("closed a connection"));
    assert!(broker.metric(r#"penstock_broker_connections_closed_total{reason="bad_frame"}"#) >= 6.0);
    is_well(&broker);
}

#[test]
fn a_large_length_with_nothing_behind_it_holds_no_memory() {
    let broker = Broker::start(&["penstock.read.stall.ms=1500"]);
    let before = broker.anonymous_bytes();
    let mut clients: Vec<Client> = (0..100).map(|_| Client::connect(&broker)).collect();
    for client in &mut clients {
        client.stream.write_all(&100_000_000_i32.to_be_bytes()).expect("sent");
        client.stream.write_all(&[0; 64]).expect("sent");
    }
    pause(Duration::from_millis(300));
    let grown = broker.anonymous_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for 100 empty promises");
    // The promises together are far above the budget, and yet they hold nothing of it.
    assert_eq!(broker.metric("penstock_broker_request_bytes"), 0.0);
    let mut other = Client::connect(&broker);
    other.create("t", 1, &[]);
    assert_eq!(other.produce("t", 0, batch(&[&"x".repeat(900_000)])).error_code, 0);
    assert_eq!(broker.metric("penstock_broker_request_bytes_waits_total"), 0.0);
    is_well(&broker);
    assert!(clients.iter_mut().all(Client::is_closed), "what began must end in time");
    let stalled = broker.metric(r#"penstock_broker_connections_closed_total{reason="read_stalled"}"#);
    assert!(stalled >= 100.0, "{stalled} of 100 were closed for that reason");
}

#[test]
fn a_frame_that_ends_early_and_random_bytes_close_the_connection() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    client.stream.write_all(&[0, 0, 0, 50, 0, 3, 0, 1]).expect("sent");
    client.stream.shutdown(std::net::Shutdown::Write).expect("open");
    assert!(client.is_closed());
    // A fixed generator: the same bytes in every run.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..50 {
        let mut client = Client::connect(&broker);
        let mut frame = BytesMut::new();
        frame.put_i32(200);
        for _ in 0..25 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            frame.put_u64(state);
        }
        client.stream.write_all(&frame).expect("sent");
        // Whatever it says or does not say, it must not hang on to us.
        client.stream.shutdown(std::net::Shutdown::Write).expect("open");
        while client.receive_frame().is_ok() {}
    }
    is_well(&broker);
    assert_eq!(broker.metric("penstock_broker_panics_total"), 0.0);
}

#[test]
fn unknown_keys_and_versions_get_an_error_and_keep_their_connection() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    let mut ask = |key: i16, version: i16| {
        let mut frame = BytesMut::new();
        frame.put_i32(10);
        frame.put_i16(key);
        frame.put_i16(version);
        frame.put_i32(7);
        frame.put_i16(-1);
        client.stream.write_all(&frame).expect("sent");
        client.receive_frame().expect("an answer")
    };
    for (key, version) in [(999, 0), (-3, 0), (4, 0), (3, 99), (18, 99)] {
        let answer = ask(key, version);
        assert_eq!(answer[..4], 7_i32.to_be_bytes(), "key {key} version {version}");
        assert_eq!(answer[4..6], code(ErrorCode::UnsupportedVersion).to_be_bytes());
    }
    // A newer ApiVersions is told in version 0 what there is.
    assert!(ask(18, 99).len() > 100);
}

#[test]
fn every_key_in_every_version_is_answered() {
    let broker = Broker::start(&["group.initial.rebalance.delay.ms=0"]);
    let mut client = Client::connect(&broker);
    for key in (0..200).filter_map(|key| ApiKey::try_from(key).ok()) {
        for version in key.served_versions().lowest..=key.served_versions().highest {
            // Zeros are an empty request of nearly every kind: no strings, no elements, no tags.
            const BODY_BYTES: usize = 256;
            let mut frame = BytesMut::new();
            frame.put_i32(10 + BODY_BYTES as i32);
            frame.put_i16(key.code());
            frame.put_i16(version);
            frame.put_i32(42);
            frame.put_i16(-1);
            frame.put_bytes(0, BODY_BYTES);
            client.stream.write_all(&frame).expect("sent");
            // A produce request without acks is the only one without an answer.
            if key == ApiKey::Produce {
                client = Client::connect(&broker);
                continue;
            }
            match client.receive_frame() {
                Ok(answer) => assert_eq!(answer[..4], 42_i32.to_be_bytes(), "{key} version {version}"),
                // In compact encodings zero is null, which most arrays may not be: malformed, so closed.
                Err(_) if key.is_flexible(version) => client = Client::connect(&broker),
                Err(error) => panic!("{key} version {version}: {error}"),
            }
        }
    }
    assert_eq!(broker.metric("penstock_broker_panics_total"), 0.0);
}

#[test]
fn batches_that_are_damaged_or_wrong_are_refused_with_kafkas_codes() {
    let broker = Broker::start(&["penstock.max.decompressed.bytes=1048576"]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[("max.message.bytes", "5000")]), 0);
    let good = batch(&["value"]);
    let change = |at: usize, to: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = to;
        Bytes::from(bytes)
    };
    let bomb = build(Builder::new(Compression::Zstd), &["0".repeat(8 << 20).as_str()]);
    let last = good.len() - 1;
    let cases = [
        (change(last, 1), ErrorCode::CorruptMessage, "a flipped byte"),
        (change(16, 9), ErrorCode::InvalidRecord, "another magic"),
        (good.slice(..20), ErrorCode::CorruptMessage, "half a header"),
        (good.slice(..last), ErrorCode::CorruptMessage, "a cut batch"),
        (change(11, 255), ErrorCode::CorruptMessage, "a length beyond the end"),
        (bomb, ErrorCode::RecordListTooLarge, "a decompression bomb"),
        (batch(&[&"x".repeat(6_000)]), ErrorCode::MessageTooLarge, "too large"),
        (Bytes::from([&good[..], &good[..]].concat()), ErrorCode::InvalidRecord, "two batches"),
        (Bytes::new(), ErrorCode::InvalidRecord, "nothing"),
    ];
    for (records, error, what) in cases {
        let answer = client.produce("t", 0, records);
        let got = ErrorCode::from(answer.error_code);
        if what == "nothing" || what == "a decompression bomb" {
            assert_ne!(got, ErrorCode::None, "{what}");
        } else {
            assert_eq!(got, error, "{what}: {:?}", answer.error_message);
        }
    }
    assert_eq!(client.offset("t", 0, -1), 0, "nothing of it was stored");
    assert_eq!(client.produce("t", 0, good).error_code, 0);
    let acks = client.call(9, &produce_request("t", 0, batch(&["a"]), 7));
    let answer = &acks.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, code(ErrorCode::InvalidRequiredAcks));
}

#[test]
fn a_client_that_never_reads_holds_no_memory_and_is_closed() {
    let broker = Broker::start(&["penstock.write.stall.ms=2000"]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let large = "x".repeat(900_000);
    for _ in 0..16 {
        assert_eq!(client.produce("t", 0, batch(&[&large])).error_code, 0);
    }
    // Once as it should be, so that buffers which stay are there before the measurement.
    assert_eq!(values(&client.fetch("t", 0, 0, 0)).len(), 1);
    let before = broker.anonymous_bytes();
    let mut deaf: Vec<Client> = (0..50).map(|_| Client::connect(&broker)).collect();
    for client in &mut deaf {
        for _ in 0..20 {
            client.send(11, &fetch_request("t", 0, 0, 0));
        }
    }
    pause(Duration::from_millis(1500));
    let grown = broker.anonymous_bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes for 50 clients that do not read");
    is_well(&broker);
    let closed = r#"penstock_broker_connections_closed_total{reason="write_stalled"}"#;
    assert!(super::process::eventually(|| broker.metric(closed) >= 50.0));
}

#[test]
fn long_answers_that_nobody_takes_are_bounded_in_all() {
    const MOST: u64 = 1 << 20;
    let broker = Broker::start(&[&format!("penstock.max.answer.bytes={MOST}")]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 10_000, &[]), 0);
    // A quarter of a megabyte each; sockets take some of them.
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let mut deaf: Vec<Client> = (0..10).map(|_| Client::connect(&broker)).collect();
    for client in &mut deaf {
        for _ in 0..20 {
            client.send(9, &request);
        }
    }
    let closed = r#"penstock_broker_connections_closed_total{reason="write_crowded"}"#;
    assert!(super::process::eventually(|| broker.metric(closed) >= 4.0), "{}", broker.metric(closed));
    assert!(broker.logs("penstock.max.answer.bytes is how much they may"));
    // Those that fit stay, and others are served.
    assert_eq!(client.call(9, &request).topics[0].partitions.len(), 10_000);
    pause(Duration::from_millis(1_500));
    let held = broker.metric("penstock_broker_answer_bytes");
    assert!(held > 0.0 && held <= MOST as f64, "{held} bytes");
}

#[test]
fn connections_are_bounded_in_all() {
    let broker = Broker::start(&["max.connections=5", "connections.max.idle.ms=60000"]);
    let mut kept: Vec<Client> = (0..5).map(|_| Client::connect(&broker)).collect();
    for client in &mut kept {
        assert_eq!(client.call(0, &ApiVersionsRequest::default()).error_code, 0);
    }
    assert!(Client::connect(&broker).is_closed());
    kept.pop();
    assert!(super::process::eventually(|| broker
        .metric("kafka_server_socket_server_metrics_connection_count")
        < 5.0));
    is_well(&broker);
}

#[test]
fn idle_connections_are_closed_and_cost_little() {
    let broker = Broker::start(&["connections.max.idle.ms=4000"]);
    let before = broker.anonymous_bytes();
    let mut clients: Vec<Client> = (0..500).map(|_| Client::connect(&broker)).collect();
    for client in &mut clients {
        client.call(0, &ApiVersionsRequest::default());
    }
    pause(Duration::from_millis(2_000));
    let each = broker.anonymous_bytes().saturating_sub(before) / 500;
    // Without optimisation the state of a task is about twice as large.
    let most = if cfg!(debug_assertions) { 16 * 1024 } else { 8 * 1024 };
    assert!(each <= most, "{each} bytes for an idle connection");
    assert!(clients[0].is_closed());
}

#[test]
fn naming_a_thing_a_thousand_times_gives_it_once() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 100, &[]), 0);
    let many = 10_000;
    let topic = MetadataRequestTopic { name: Some("t".into()), ..MetadataRequestTopic::default() };
    let request = MetadataRequest { topics: Some(vec![topic; many]), ..MetadataRequest::default() };
    assert_eq!(client.call(9, &request).topics.len(), 1);
    let resource =
        DescribeConfigsResource { resource_type: 2, resource_name: "t".into(), configuration_keys: None };
    let request = DescribeConfigsRequest { resources: vec![resource; many], ..Default::default() };
    assert_eq!(client.call(4, &request).results.len(), 1);
    let topic = DescribableLogDirTopic { topic: "t".into(), partitions: vec![7; many] };
    let request = DescribeLogDirsRequest { topics: Some(vec![topic; 2]) };
    let found = client.call(2, &request).results.remove(0).topics;
    assert_eq!((found.len(), found[0].partitions.len()), (1, 1));
    let request = DescribeGroupsRequest { groups: vec!["g".into(); many], ..Default::default() };
    assert_eq!(client.call(4, &request).groups.len(), 1);
    let topic = TopicRequest { name: "t".into(), partition_indexes: vec![3; many] };
    let request = DescribeProducersRequest { topics: vec![topic; 2] };
    let found = client.call(0, &request).topics;
    assert_eq!((found.len(), found[0].partitions.len()), (1, 1));
    let topic = OffsetFetchRequestTopics {
        name: "t".into(),
        partition_indexes: vec![3; many],
        ..OffsetFetchRequestTopics::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        topics: Some(vec![topic; 2]),
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest { groups: vec![group; 2], ..OffsetFetchRequest::default() };
    let found = client.call(8, &request).groups;
    assert_eq!((found.len(), found[0].topics.len()), (1, 1));
    assert_eq!(found[0].topics[0].partitions.len(), 1);

    // The time that a search through all that was named would take grows with the square of it.
    let topic = |number: usize| CreatePartitionsTopic {
        name: format!("no-such-topic-{number}").as_str().into(),
        count: 2,
        assignments: None,
    };
    let topics = (0..100_000).map(topic).collect();
    let request = CreatePartitionsRequest { topics, ..CreatePartitionsRequest::default() };
    assert_eq!(client.call(3, &request).results.len(), 100_000);
    // Each new topic would be answered with all its settings.
    let topic = |number: usize| CreatableTopic {
        name: format!("t-{number}").as_str().into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let topics = (0..10_001).map(topic).collect();
    let request = CreateTopicsRequest { topics, validate_only: true, ..CreateTopicsRequest::default() };
    let refused = client.call(5, &request).topics;
    assert!(refused.iter().all(|topic| topic.error_code == code(ErrorCode::PolicyViolation)));
}
