//! A platform of one test: database, use cases, routes and an account. There are no brokers.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use control::{Control, Settings};
use http_body_util::BodyExt;
use keyring::seal::MasterKey;
use model::{FeatureLevel, Release, Timestamp};
use secrecy::ExposeSecret;
use serde_json::Value;
use store::Store;
use testkit::Database;
use tower::ServiceExt;

/// 2026-11-24T06:00:00Z.
const NOW: Timestamp = Timestamp(1_795_500_000_000);

pub(super) struct World {
    routes: Router,
    /// The account's token.
    pub(super) owner: String,
    _database: Database,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
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
        let control = Control::new(settings, store, key, || NOW);
        control.prepare().await.unwrap();
        let metrics = crate::Metrics::register(&telemetry::Registry::new());
        World {
            owner: token(&control, "owner").await,
            routes: crate::router(control, metrics),
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
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }
}

async fn token(control: &Control, name: &str) -> String {
    let account = control.create_account(name).await.unwrap();
    control.issue_token(account.id, "a test").await.unwrap().secret.expose_secret().to_owned()
}
