//! A platform of one test: database, use cases, routes, two accounts, and brokers that only remember.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use control::{Access, Brokers, BrokersError, Control, Settings, TopicSeen, TopicSpec};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use keyring::seal::MasterKey;
use model::condition::{Condition, Kind, Truth};
use model::resource::State;
use model::status::{BrokerStatus, Endpoint};
use model::{
    BrokerId, ClusterId, ClusterStatus, FeatureLevel, Generation, Reason, Release, ResourceId, Timestamp,
};
use secrecy::ExposeSecret;
use serde_json::Value;
use store::Store;
use testkit::Database;
use tower::ServiceExt;

/// 2026-11-24T06:00:00Z.
const NOW: Timestamp = Timestamp(1_795_500_000_000);

pub(super) struct World {
    routes: Router,
    store: Store,
    /// Tokens of two accounts.
    pub(super) owner: String,
    pub(super) stranger: String,
    _database: Database,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    /// The code of the problem that it is.
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("no problem")
    }
}

impl World {
    pub(super) async fn new() -> World {
        let database = Database::create().await;
        let store = Store::connect(&database.url()).unwrap();
        let settings = Settings {
            region: "local".to_owned(),
            release: Release("0.0.0".to_owned()),
            feature_level: FeatureLevel(1),
        };
        let key = MasterKey::from_bytes([7; 32]);
        let control = Control::with_brokers(settings, store.clone(), key, Remembering::default(), || NOW);
        control.prepare().await.unwrap();
        let metrics = crate::Metrics::register(&telemetry::Registry::new());
        World {
            owner: token(&control, "owner").await,
            stranger: token(&control, "stranger").await,
            routes: crate::router(control, metrics),
            store,
            _database: database,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Some(&self.owner), None, None).await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self.routes.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// Writes what the reconciler would: the resource's broker is ready.
    pub(super) async fn make_ready(&self, resource: &Value) {
        let id = |value: &Value| value.as_str().unwrap().parse().unwrap();
        let status = ClusterStatus {
            cluster: ClusterId(id(&resource["cluster"]["id"])),
            observed_generation: Generation::FIRST,
            at: NOW,
            conditions: vec![Condition {
                kind: Kind::Ready,
                status: Truth::True,
                reason: Reason::AllBrokersReady,
                message: "the broker is ready".to_owned(),
                since: NOW,
            }],
            brokers: vec![BrokerStatus {
                id: BrokerId(0),
                ready: Truth::True,
                reason: Reason::AllBrokersReady,
                message: "ready".to_owned(),
                endpoint: Some(Endpoint { host: "127.0.0.1".to_owned(), port: 19_096 }),
                restarts: 0,
            }],
            waiting: vec![],
            cluster_ca: Some("the brokers' CA".to_owned()),
            removed: false,
        };
        let mut tx = self.store.begin().await.unwrap();
        store::cluster::set_status(&mut tx, &status).await.unwrap();
        let resource = ResourceId(id(&resource["id"]));
        store::resource::set_state(&mut tx, resource, State::Ready, "the broker is ready", NOW)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

async fn token(control: &Control, name: &str) -> String {
    let account = control.create_account(name).await.unwrap();
    control.issue_token(account.id, "a test").await.unwrap().secret.expose_secret().to_owned()
}

/// Brokers that do at once what they are told.
#[derive(Default)]
struct Remembering(Arc<Mutex<BTreeMap<String, TopicSeen>>>);

impl Remembering {
    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut BTreeMap<String, TopicSeen>) -> T,
    ) -> BoxFuture<'static, Result<T, BrokersError>> {
        let done = work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        async { Ok(done) }.boxed()
    }
}

impl Brokers for Remembering {
    fn topics<'a>(&'a self, _: &'a Access) -> BoxFuture<'a, Result<Vec<TopicSeen>, BrokersError>> {
        self.with(|topics| topics.values().cloned().collect())
    }

    fn stored_bytes<'a>(&'a self, _: &'a Access) -> BoxFuture<'a, Result<u64, BrokersError>> {
        self.with(|topics| 1_000 * topics.len() as u64)
    }

    fn create_topic<'a>(
        &'a self,
        _: &'a Access,
        topic: &'a TopicSpec,
    ) -> BoxFuture<'a, Result<(), BrokersError>> {
        let seen = TopicSeen {
            name: topic.name.clone(),
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            internal: false,
            config: topic.config.clone(),
        };
        self.with(|topics| drop(topics.insert(topic.name.clone(), seen)))
    }

    fn configure_topic<'a>(
        &'a self,
        _: &'a Access,
        name: &'a str,
        config: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<(), BrokersError>> {
        self.with(|topics| {
            if let Some(topic) = topics.get_mut(name) {
                topic.config.extend(config.clone());
            }
        })
    }

    fn delete_topic<'a>(&'a self, _: &'a Access, name: &'a str) -> BoxFuture<'a, Result<(), BrokersError>> {
        self.with(|topics| drop(topics.remove(name)))
    }
}
