//! What clients change while the broker runs: its settings, a topic's codec, quotas.

use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::batch::{self, Builder, Compression};
use protocol::codec::Request;
use protocol::messages::alter_client_quotas::{self as alter_quotas, AlterClientQuotasRequest, OpData};
use protocol::messages::api_versions::ApiVersionsRequest;
use protocol::messages::describe_client_quotas::{ComponentData, DescribeClientQuotasRequest};
use protocol::messages::describe_cluster::DescribeClusterRequest;
use protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::describe_quorum::DescribeQuorumRequest;
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::metadata::MetadataRequest;
use protocol::messages::{HeartbeatRequest, ListGroupsRequest};

use super::client::{Client, batch, build, code, fetch_request, produce_request, values};
use super::process::Broker;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;

fn alter(client: &mut Client, kind: i8, name: &str, operation: i8, key: &str, value: &str) -> i16 {
    let config = AlterableConfig {
        name: key.into(),
        config_operation: operation,
        value: (operation == SET).then(|| value.into()),
    };
    let resource =
        AlterConfigsResource { resource_type: kind, resource_name: name.into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    client.call(1, &request).responses[0].error_code
}

/// A setting's value, where it comes from, and whether it can be changed.
fn described(client: &mut Client, kind: i8, name: &str, key: &str) -> Option<(String, i8, bool)> {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: Some(vec![key.into()]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let result = client.call(4, &request).results.remove(0);
    let config = result.configs.first()?;
    Some((config.value.as_deref().unwrap_or("").to_owned(), config.config_source, !config.read_only))
}

#[test]
fn settings_of_the_broker_change_without_a_restart_and_outlive_one() {
    let broker = Broker::start(&["node.id=0"]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let of_topic = |client: &mut Client| described(client, TOPIC, "t", "segment.ms");
    assert_eq!(of_topic(&mut client), Some(("604800000".to_owned(), 5, true)));
    // For all brokers, then for this one: the nearer counts, and a topic without its own follows.
    assert_eq!(alter(&mut client, BROKER, "", SET, "log.roll.ms", "5000000"), 0);
    assert_eq!(of_topic(&mut client), Some(("5000000".to_owned(), 3, true)));
    assert_eq!(alter(&mut client, BROKER, "0", SET, "log.roll.ms", "7000000"), 0);
    assert_eq!(of_topic(&mut client), Some(("7000000".to_owned(), 2, true)));
    assert_eq!(described(&mut client, BROKER, "0", "log.roll.ms"), Some(("7000000".to_owned(), 2, true)));
    assert_eq!(described(&mut client, BROKER, "", "log.roll.ms"), Some(("5000000".to_owned(), 3, true)));

    let broker = broker.stop_and_restart();
    let mut client = Client::connect(&broker);
    assert_eq!(of_topic(&mut client), Some(("7000000".to_owned(), 2, true)));
    assert_eq!(alter(&mut client, BROKER, "0", DELETE, "log.roll.ms", ""), 0);
    assert_eq!(of_topic(&mut client), Some(("5000000".to_owned(), 3, true)));

    let invalid = code(ErrorCode::InvalidConfig);
    assert_eq!(alter(&mut client, BROKER, "0", SET, "broker.id", "7"), invalid, "it would have no effect");
    assert_eq!(alter(&mut client, BROKER, "0", SET, "no.such.setting", "7"), invalid);
    assert_eq!(alter(&mut client, BROKER, "9", SET, "log.roll.ms", "7"), code(ErrorCode::InvalidRequest));
    assert_eq!(alter(&mut client, BROKER, "0", DELETE, "no.such.setting", ""), 0, "it is not set");
}

#[test]
fn settings_say_what_they_do_and_which_do_nothing() {
    let broker = Broker::start(&["log.preallocate=true", "num.partitions=2"]);
    assert!(broker.logs("a setting was given that has no effect here"));
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let mut documentation = |kind: i8, name: &str, key: &str, wanted: bool| {
        let resource = DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            configuration_keys: Some(vec![key.into()]),
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            include_documentation: wanted,
            ..Default::default()
        };
        let result = client.call(4, &request).results.remove(0);
        result.configs[0].documentation.as_deref().unwrap_or("").to_owned()
    };
    assert_eq!(documentation(TOPIC, "t", "retention.ms", false), "");
    assert_eq!(
        documentation(TOPIC, "t", "retention.ms", true),
        documentation(BROKER, "0", "log.retention.ms", true)
    );
    assert!(documentation(TOPIC, "t", "preallocate", true).contains("no effect here"));
    assert!(!documentation(BROKER, "0", "num.partitions", true).contains("no effect"));
}

#[test]
fn what_clients_can_give_settings_to_is_bounded() {
    const CLIENT_METRICS: i8 = 16;
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    let refused = code(ErrorCode::PolicyViolation);
    let long = "x".repeat(17 * 1024);
    assert_eq!(alter(&mut client, CLIENT_METRICS, "s", SET, "metrics", &long), refused);
    assert_eq!(alter(&mut client, CLIENT_METRICS, "s", SET, "metrics", "org.apache."), 0);
    let entry = |number: usize| {
        let name = format!("client-{number}");
        let part = alter_quotas::EntityData {
            entity_type: "client-id".into(),
            entity_name: Some(name.as_str().into()),
        };
        let operation = OpData { key: "producer_byte_rate".into(), value: 1e6, remove: false };
        alter_quotas::EntryData { entity: vec![part], ops: vec![operation] }
    };
    let request =
        AlterClientQuotasRequest { entries: (0..10_001).map(entry).collect(), validate_only: false };
    let codes: Vec<i16> = client.call(1, &request).entries.iter().map(|entry| entry.error_code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 10_000);
    assert_eq!(codes[10_000], refused);
    assert_eq!(broker.metric(r#"penstock_broker_metadata_refused_total{bound="settings"}"#), 1.0);
    assert_eq!(broker.metric(r#"penstock_broker_metadata_refused_total{bound="settings_bytes"}"#), 1.0);
}

#[test]
fn a_topic_with_a_codec_stores_every_batch_in_it() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[("compression.type", "zstd")]), 0);
    let id = client.producer_id();
    for (at, codec) in [Compression::None, Compression::Gzip, Compression::Zstd].into_iter().enumerate() {
        let numbered = Builder::new(codec).producer(id, 0, at as i32 * 2);
        let produced = client.produce("t", 0, build(numbered, &["a", "b"]));
        assert_eq!((produced.error_code, produced.base_offset), (0, at as i64 * 2), "{codec:?}");
    }
    // The same batch again is the same batch, whatever became of its bytes.
    let again = build(Builder::new(Compression::Gzip).producer(id, 0, 2), &["a", "b"]);
    let produced = client.produce("t", 0, again);
    assert_eq!((produced.error_code, produced.base_offset), (0, 2));

    let old = client.call(9, &fetch_request("t", 0, 0, 0));
    let refused = old.responses[0].partitions[0].error_code;
    assert_eq!(refused, code(ErrorCode::UnsupportedCompressionType), "such a client does not know zstd");
    let data = client.fetch("t", 0, 0, 0);
    assert_eq!(values(&data), ["a", "b"].repeat(3));
    let stored = data.records.as_ref().and_then(|records| records.bytes()).expect("records");
    for batch in batch::split(stored.clone()) {
        let header = batch.expect("whole").header().to_owned();
        assert_eq!(header.compression().expect("known"), Compression::Zstd);
        assert_eq!(header.producer_id, id);
    }
}

fn quota(client: &mut Client, client_id: &str, key: &str, value: Option<f64>) -> i16 {
    let part =
        alter_quotas::EntityData { entity_type: "client-id".into(), entity_name: Some(client_id.into()) };
    let operation = OpData { key: key.into(), value: value.unwrap_or(0.0), remove: value.is_none() };
    let entry = alter_quotas::EntryData { entity: vec![part], ops: vec![operation] };
    let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
    client.call(1, &request).entries[0].error_code
}

fn quotas(client: &mut Client, client_id: &str) -> Vec<(String, f64)> {
    let component =
        ComponentData { entity_type: "client-id".into(), match_type: 0, r#match: Some(client_id.into()) };
    let request = DescribeClientQuotasRequest { components: vec![component], strict: true };
    let response = client.call(1, &request);
    assert_eq!(response.error_code, 0);
    let entries = response.entries.unwrap_or_default();
    let values = entries.iter().flat_map(|entry| &entry.values);
    values.map(|value| (value.key.to_string(), value.value)).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long others wait is real time")]
fn who_is_beyond_a_quota_rests_and_nobody_else_does() {
    /// What the test client calls itself, and bytes in a second.
    const CLIENT_ID: &str = "test";
    const RATE: f64 = 100_000.0;
    let broker = Broker::start(&[]);
    let (mut client, mut other) = (Client::connect(&broker), Client::connect(&broker));
    assert_eq!(client.create("t", 1, &[]), 0);
    let large = || batch(&[&"x".repeat(180_000)]);
    assert_eq!(client.call(9, &produce_request("t", 0, large(), -1)).throttle_time_ms, 0, "no quota yet");

    assert_eq!(quota(&mut client, CLIENT_ID, "producer_byte_rate", Some(RATE)), 0);
    assert_eq!(quota(&mut client, CLIENT_ID, "consumer_byte_rate", Some(RATE)), 0);
    assert_eq!(quotas(&mut client, CLIENT_ID).len(), 2);
    assert_eq!(quota(&mut client, CLIENT_ID, "no_such_rate", Some(RATE)), code(ErrorCode::InvalidRequest));

    // A second's worth is free, the rest of it must be waited for: by this connection, not by others.
    let throttled = client.call(9, &produce_request("t", 0, large(), -1)).throttle_time_ms;
    assert!((500..=900).contains(&throttled), "{throttled} ms");
    let rest = Duration::from_millis(u64::try_from(throttled).expect("positive"));
    let began = Instant::now();
    assert_eq!(quotas(&mut other, "nobody"), []);
    assert!(began.elapsed() < rest, "others do not wait");
    assert_eq!(quotas(&mut client, "nobody"), []);
    // Half of it, because we may have read the answer long after it was sent.
    assert!(began.elapsed() >= rest / 2, "the connection rests: {:?}", began.elapsed());

    let fetched = client.call(11, &fetch_request("t", 0, 0, 0));
    assert!(fetched.throttle_time_ms > 0, "a batch of 1.8 seconds' worth");
    let ahead = other.call(11, &fetch_request("t", 0, 0, 5_000));
    assert!(values(&ahead.responses[0].partitions[0]).is_empty(), "both connections are one client id");

    assert_eq!(quota(&mut other, CLIENT_ID, "producer_byte_rate", None), 0);
    assert_eq!(quota(&mut other, CLIENT_ID, "consumer_byte_rate", None), 0);
    assert_eq!(quotas(&mut other, CLIENT_ID), []);
    assert_eq!(other.call(9, &produce_request("t", 0, large(), -1)).throttle_time_ms, 0);
}

/// What a client is told after a request of this kind. Each has a connection of its own: a connection rests, and the
/// client id is what is beyond its quota.
fn told<Q: Request>(broker: &Broker, version: i16, request: &Q, of: impl Fn(Q::Response) -> i32) -> i32 {
    of(Client::connect(broker).call(version, request))
}

#[test]
fn every_answer_tells_of_the_rest_that_follows_it() {
    let broker = Broker::start(&[]);
    let mut client = Client::connect(&broker);
    assert_eq!(client.create("t", 1, &[]), 0);
    let metadata = MetadataRequest { topics: None, ..MetadataRequest::default() };
    assert_eq!(told(&broker, 9, &metadata, |it| it.throttle_time_ms), 0, "no quota yet");
    // A hundred-thousandth of a percent: what any request takes must be rested off for seconds.
    assert_eq!(quota(&mut client, "test", "request_percentage", Some(0.000_01)), 0);
    let produce = || produce_request("t", 0, batch(&["a"]), -1);
    let fetch = fetch_request("t", 0, 0, 0);
    for (what, throttle_time_ms) in [
        ("Metadata", told(&broker, 12, &metadata, |it| it.throttle_time_ms)),
        ("Produce", told(&broker, 9, &produce(), |it| it.throttle_time_ms)),
        ("Fetch", told(&broker, 11, &fetch, |it| it.throttle_time_ms)),
        ("ApiVersions", told(&broker, 1, &ApiVersionsRequest::default(), |it| it.throttle_time_ms)),
        ("ListGroups", told(&broker, 4, &ListGroupsRequest::default(), |it| it.throttle_time_ms)),
        ("DescribeCluster", told(&broker, 0, &DescribeClusterRequest::default(), |it| it.throttle_time_ms)),
        ("Heartbeat", told(&broker, 4, &HeartbeatRequest::default(), |it| it.throttle_time_ms)),
    ] {
        assert!(throttle_time_ms > 0, "{what}");
    }
    // These versions have no place for it, and are answered all the same.
    told(&broker, 0, &ApiVersionsRequest::default(), |it| it.throttle_time_ms);
    told(&broker, 0, &DescribeQuorumRequest::default(), |_| 0);
    assert!(broker.metric(r#"penstock_broker_throttled_requests_total{quota="request_percentage"}"#) >= 8.0);
}
