//! What is refused is refused with the code that Apache Kafka gives: clients and tools decide by it.

use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use protocol::messages::find_coordinator::FindCoordinatorRequest;
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use super::client::{Client, batch, fetch_request, values};
use super::process::Broker;

const TOPIC: i8 = 2;
const SET: i8 = 0;
const APPEND: i8 = 2;

/// The codes of a response, as names.
fn named(codes: impl IntoIterator<Item = i16>) -> Vec<ErrorCode> {
    codes.into_iter().map(ErrorCode::from).collect()
}

fn alteration(operation: i8, key: &str, value: Option<&str>) -> AlterConfigsResource {
    let config = AlterableConfig {
        name: key.into(),
        config_operation: operation,
        value: value.map(protocol::Str::from),
    };
    AlterConfigsResource { resource_type: TOPIC, resource_name: "t".into(), configs: vec![config] }
}

fn alter(client: &mut Client, resources: Vec<AlterConfigsResource>) -> Vec<ErrorCode> {
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    named(client.call(1, &request).responses.iter().map(|response| response.error_code))
}

fn described(client: &mut Client, keys: Option<Vec<protocol::Str>>) -> Vec<(String, String)> {
    let resource =
        DescribeConfigsResource { resource_type: TOPIC, resource_name: "t".into(), configuration_keys: keys };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let configs = client.call(4, &request).results.remove(0).configs;
    let pair = |value: &Option<protocol::Str>| value.as_deref().unwrap_or_default().to_owned();
    configs.iter().map(|config| (config.name.to_string(), pair(&config.value))).collect()
}

#[test]
fn changes_of_settings() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[("retention.ms", "7000")]), 0);
    let without_value = alteration(SET, "retention.ms", None);
    assert_eq!(alter(&mut client, vec![without_value]), [ErrorCode::InvalidRequest]);
    let no_list = alteration(APPEND, "retention.ms", Some("1"));
    assert_eq!(alter(&mut client, vec![no_list]), [ErrorCode::InvalidConfig]);
    let twice =
        vec![alteration(SET, "retention.ms", Some("8000")), alteration(SET, "segment.ms", Some("9000"))];
    assert_eq!(alter(&mut client, twice), [ErrorCode::InvalidRequest; 2]);
    let lags = alteration(SET, "min.compaction.lag.ms", Some("10"));
    assert_eq!(alter(&mut client, vec![lags]), [ErrorCode::None]);
    let above = alteration(SET, "max.compaction.lag.ms", Some("9"));
    assert_eq!(alter(&mut client, vec![above]), [ErrorCode::InvalidConfig]);
    let retention = described(&mut client, Some(vec!["retention.ms".into()]));
    assert_eq!(retention, [("retention.ms".to_owned(), "7000".to_owned())], "nothing of it was changed");
    // No list and an empty list of keys ask for all.
    let all = described(&mut client, None);
    assert!(all.len() > 30 && described(&mut client, Some(Vec::new())) == all);

    let config = CreatableTopicConfig { name: "retention.ms".into(), value: None };
    let topic = CreatableTopic {
        name: "u".into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config],
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() };
    let made = client.call(6, &request).topics;
    assert_eq!(named(made.iter().map(|topic| topic.error_code)), [ErrorCode::InvalidConfig]);
}

#[test]
fn times_and_places_of_a_log() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 2, &[]), 0);
    let mut ask = |version: i16, asked: &[(i32, i64)]| {
        let partition = |&(partition_index, timestamp): &(i32, i64)| ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp,
            ..ListOffsetsPartition::default()
        };
        let partitions = asked.iter().map(partition).collect();
        let topics = vec![ListOffsetsTopic { name: "t".into(), partitions }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let response = client.call(version, &request);
        named(response.topics[0].partitions.iter().map(|found| found.error_code))
    };
    for (place, since) in [(-1, 1), (-2, 1), (-3, 7), (-4, 8), (-5, 9), (-6, 11)] {
        assert_eq!(ask(since, &[(0, place)]), [ErrorCode::None], "{place} in version {since}");
        if since > 1 {
            let older = ask(since - 1, &[(0, place)]);
            assert_eq!(older, [ErrorCode::UnsupportedVersion], "{place} before version {since}");
        }
    }
    assert_eq!(ask(11, &[(0, -7)]), [ErrorCode::UnsupportedVersion]);
    let twice = ask(7, &[(0, -1), (1, -1), (0, -2)]);
    assert_eq!(twice, [ErrorCode::InvalidRequest, ErrorCode::None, ErrorCode::InvalidRequest]);
    assert_eq!(ask(7, &[(2, -1)]), [ErrorCode::UnknownTopicOrPartition]);
}

#[test]
fn topics_that_are_not_named_clearly_are_not_deleted() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    for name in ["t", "u", "v"] {
        assert_eq!(client.create(name, 1, &[]), 0);
    }
    let by_name = |name: &str| DeleteTopicState { name: Some(name.into()), ..DeleteTopicState::default() };
    let nobody = DeleteTopicState { name: None, ..DeleteTopicState::default() };
    let both = DeleteTopicState { topic_id: uuid::Uuid::from_u128(7), ..by_name("u") };
    let unknown = DeleteTopicState { name: None, topic_id: uuid::Uuid::from_u128(7) };
    let topics = vec![
        by_name("t"),
        by_name("t"),
        nobody,
        both,
        unknown,
        by_name("none"),
        by_name("none"),
        by_name("v"),
    ];
    let request = DeleteTopicsRequest { topics, timeout_ms: 5_000, ..Default::default() };
    let answers = client.call(6, &request).responses;
    assert_eq!(
        named(answers.iter().map(|answer| answer.error_code)),
        [
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::UnknownTopicId,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::None,
        ]
    );
    assert_eq!((client.offset("t", 0, -1), client.offset("u", 0, -1)), (0, 0), "they are there");
}

#[test]
fn the_topic_of_group_state_stays_as_it_is() {
    const NAME: &str = "__consumer_offsets";
    let broker = Broker::start(&["offsets.topic.num.partitions=3"]);
    let mut client = Client::connect(&broker);
    let request =
        FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..FindCoordinatorRequest::default() };
    assert_eq!(client.call(4, &request).coordinators[0].error_code, 0);

    // After the next start every group would be looked for in another partition.
    let topic = CreatePartitionsTopic { name: NAME.into(), count: 6, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![topic], ..CreatePartitionsRequest::default() };
    let grown = client.call(3, &request).results;
    assert_eq!(named([grown[0].error_code]), [ErrorCode::InvalidTopicException]);

    let topics = vec![DeleteTopicState { name: Some(NAME.into()), ..DeleteTopicState::default() }];
    let request = DeleteTopicsRequest { topics, timeout_ms: 5_000, ..Default::default() };
    let deleted = client.call(6, &request).responses;
    assert_eq!(named([deleted[0].error_code]), [ErrorCode::InvalidTopicException]);

    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: -1 }];
    let topics = vec![DeleteRecordsTopic { name: NAME.into(), partitions }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 5_000 };
    let emptied = client.call(2, &request).topics;
    assert_eq!(named([emptied[0].partitions[0].error_code]), [ErrorCode::InvalidTopicException]);
    assert_eq!(client.offset(NAME, 2, -1), 0, "it has its three partitions");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a fetch waits is real time")]
fn a_fetch_does_not_wait_for_more_than_it_can_be_given() {
    const WAIT: Duration = Duration::from_secs(20);
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    for _ in 0..4 {
        assert_eq!(client.produce("t", 0, batch(&[&"x".repeat(4_000)])).error_code, 0);
    }
    let mut request = fetch_request("t", 0, 0, i32::try_from(WAIT.as_millis()).expect("short"));
    (request.min_bytes, request.max_bytes) = (1 << 20, 10_000);
    let began = Instant::now();
    let response = client.call(11, &request);
    assert!(began.elapsed() < WAIT / 2, "{:?}", began.elapsed());
    assert!(!values(&response.responses[0].partitions[0]).is_empty());
}

#[test]
fn pages_of_partitions_follow_each_other_without_gaps_or_empty_topics() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    for (name, partitions) in [("a", 2), ("b", 3), ("c", 1)] {
        assert_eq!(client.create(name, partitions, &[]), 0);
    }
    let mut seen = Vec::new();
    let mut cursor: Option<Cursor> = None;
    for _ in 0..10 {
        let request = DescribeTopicPartitionsRequest {
            response_partition_limit: 2,
            cursor: cursor.take(),
            ..DescribeTopicPartitionsRequest::default()
        };
        let DescribeTopicPartitionsResponse { topics, next_cursor, .. } = client.call(0, &request);
        for topic in topics {
            assert!(!topic.partitions.is_empty(), "a page names what it shows");
            let name = topic.name.expect("a name");
            seen.extend(
                topic.partitions.iter().map(|partition| format!("{name}-{}", partition.partition_index)),
            );
        }
        match next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ["a-0", "a-1", "b-0", "b-1", "b-2", "c-0"]);
}
