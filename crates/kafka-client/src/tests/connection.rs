//! How a connection behaves when the broker does, and when it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protocol::messages::api_versions::ApiVersion;
use protocol::messages::create_topics::CreatableTopicResult;
use protocol::messages::metadata::MetadataResponseTopic;
use protocol::messages::{
    ApiVersionsResponse, CreateTopicsRequest, CreateTopicsResponse, DescribeClusterResponse, MetadataResponse,
};
use protocol::{ApiKey, ErrorCode};

use super::fake::{self, Answer, answer, broker, config};
use crate::{Admin, Error, NewTopic};

#[tokio::test]
async fn many_calls_share_a_connection_and_each_gets_its_own_answer() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    let (address, _task) = broker(move |header, body| match header.key {
        ApiKey::ApiVersions => {
            counter.fetch_add(1, Ordering::Relaxed);
            fake::versions(header)
        }
        ApiKey::CreateTopics => {
            let request = CreateTopicsRequest::decode(body, header.version).unwrap();
            let results = request.topics.iter().map(|topic| CreatableTopicResult {
                name: topic.name.clone(),
                // Names that end in 7 are taken.
                error_code: if topic.name.ends_with('7') { ErrorCode::TopicAlreadyExists.code() } else { 0 },
                error_message: Some(format!("about {}", topic.name).into()),
                ..CreatableTopicResult::default()
            });
            answer(header, &CreateTopicsResponse { topics: results.collect(), ..Default::default() })
        }
        _ => Answer::Hangup,
    })
    .await;
    let admin = Admin::connect(config(address)).await.unwrap();
    let calls = (0..50).map(|n| {
        let admin = admin.clone();
        tokio::spawn(
            async move { (n, admin.create_topic(&NewTopic::new(format!("topic-{n}")), false).await) },
        )
    });
    for call in calls {
        let (n, result) = call.await.unwrap();
        match result {
            Ok(_) => assert_ne!(n % 10, 7),
            Err(error) => {
                assert_eq!(error.code(), Some(ErrorCode::TopicAlreadyExists));
                let text = format!("create topic topic-{n}: about topic-{n} (TOPIC_ALREADY_EXISTS)");
                assert_eq!(error.to_string(), text);
                assert!(!error.is_retriable());
            }
        }
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_highest_common_version_is_spoken() {
    let (address, _task) = broker(|header, _| match (header.key, header.version) {
        (ApiKey::ApiVersions, 3) => fake::versions_refused(header),
        (ApiKey::ApiVersions, 0) => {
            let metadata = ApiVersion { api_key: ApiKey::Metadata.code(), min_version: 0, max_version: 4 };
            answer(header, &ApiVersionsResponse { api_keys: vec![metadata], ..Default::default() })
        }
        (ApiKey::Metadata, 4) => answer(header, &MetadataResponse::default()),
        _ => Answer::Hangup,
    })
    .await;
    let admin = Admin::connect(config(address)).await.unwrap();
    assert_eq!(admin.list_topics().await.unwrap(), []);
    let error = admin.describe_cluster().await.expect_err("is not offered");
    assert!(matches!(error, Error::Unsupported { api: ApiKey::DescribeCluster, .. }), "{error}");
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_no_error() {
    let (address, _task) = broker(|header, _| match header.key {
        ApiKey::ApiVersions => fake::versions(header),
        _ => {
            let missing = MetadataResponseTopic {
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
                name: Some("missing".into()),
                ..Default::default()
            };
            answer(header, &MetadataResponse { topics: vec![missing], ..Default::default() })
        }
    })
    .await;
    let admin = Admin::connect(config(address)).await.unwrap();
    assert_eq!(admin.describe_topic("missing").await.unwrap(), None);
}

#[tokio::test]
async fn a_broken_connection_is_reported_and_the_next_call_opens_another() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let (address, _task) = broker(move |header, _| match header.key {
        ApiKey::ApiVersions => fake::versions(header),
        _ if counter.fetch_add(1, Ordering::Relaxed) == 0 => Answer::Hangup,
        _ => answer(header, &DescribeClusterResponse { cluster_id: "c".into(), ..Default::default() }),
    })
    .await;
    let admin = Admin::connect(config(address)).await.unwrap();
    let error = admin.describe_cluster().await.expect_err("the broker hangs up");
    assert!(matches!(error, Error::ConnectionLost { .. }) && error.is_retriable(), "{error}");
    assert!(error.to_string().ends_with("the broker closed it"), "{error}");
    assert_eq!(admin.describe_cluster().await.unwrap().id, "c");
}

#[tokio::test]
async fn a_broker_that_says_nothing_is_given_up_after_the_timeout() {
    let (address, _task) = broker(|header, _| match header.key {
        ApiKey::ApiVersions => fake::versions(header),
        _ => Answer::Silence,
    })
    .await;
    let mut config = config(address);
    config.timeout = Duration::from_millis(50);
    let admin = Admin::connect(config).await.unwrap();
    let error = admin.describe_cluster().await.expect_err("no answer");
    assert!(matches!(error, Error::TimedOut { api: ApiKey::DescribeCluster, timeout_ms: 50, .. }), "{error}");
}

#[tokio::test]
async fn nonsense_closes_the_connection_and_allocates_nothing() {
    let frames: [(&[u8], &str); 4] = [
        (&[0x7f, 0xff, 0xff, 0xff], "above the limit"),
        (&[0xff, 0xff, 0xff, 0xff], "cannot be -1 bytes long"),
        (&[0, 0, 0, 2, 1, 1], "too short"),
        (&[0, 0, 0, 5, 9, 9, 9, 9, 0], "answered another request"),
    ];
    for (bytes, complaint) in frames {
        let (address, _task) = broker(move |header, _| match header.key {
            ApiKey::ApiVersions => fake::versions(header),
            _ => Answer::Frame(bytes.to_vec()),
        })
        .await;
        let admin = Admin::connect(config(address)).await.unwrap();
        let error = admin.describe_cluster().await.expect_err(complaint);
        assert!(error.to_string().contains(complaint), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_worth_another_try_and_no_broker_at_all_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Admin::connect(config(address)).await.expect_err("nobody listens");
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_retriable(), "{error}");
    let error = Admin::connect(crate::Config::new(vec![])).await.expect_err("nobody to ask");
    assert!(matches!(error, Error::Config { .. }) && !error.is_retriable(), "{error}");
}
