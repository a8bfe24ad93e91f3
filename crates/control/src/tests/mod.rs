//! Use cases against a real Postgres and pretended brokers.

mod brokers;
mod credentials;
mod reach;
mod removal;
mod resources;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use keyring::seal::MasterKey;
use model::condition::{Condition, Kind, Truth};
use model::resource::State;
use model::status::{BrokerStatus, Endpoint};
use model::{BrokerId, ClusterStatus, FeatureLevel, Reason, Release, Timestamp};
use store::Store;
use testkit::Database;

use crate::{Accepted, Caller, Control, CreateResource, ResourceRef, Settings};
use brokers::Pretended;

/// 2026-11-24T06:00:00Z.
const START: i64 = 1_795_500_000_000;

/// A platform of its own: database, clock, brokers.
struct World {
    control: Control,
    store: Store,
    brokers: Pretended,
    clock: Arc<AtomicI64>,
    _database: Database,
}

impl World {
    async fn new() -> World {
        let database = Database::create().await;
        let store = Store::connect(&database.url()).unwrap();
        let (brokers, clock) = (Pretended::default(), Arc::new(AtomicI64::new(START)));
        let control = Control::with_brokers(
            settings(),
            store.clone(),
            MasterKey::from_bytes([7; 32]),
            brokers.clone(),
            {
                let clock = Arc::clone(&clock);
                move || Timestamp(clock.load(Ordering::Relaxed))
            },
        );
        control.prepare().await.unwrap();
        World { control, store, brokers, clock, _database: database }
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::Relaxed))
    }

    /// Somebody with an account.
    async fn tenant(&self, name: &str) -> Caller {
        let account = self.control.create_account(name).await.unwrap();
        self.control.caller_for(account.id, "a test").await.unwrap()
    }

    async fn accept(&self, caller: &Caller, name: &str) -> Accepted {
        self.control.create_resource(caller, &dev(name), None).await.unwrap()
    }

    /// A resource whose brokers are ready, as the reconciler would have written it.
    async fn ready(&self, caller: &Caller, name: &str) -> ResourceRef {
        let accepted = self.accept(caller, name).await;
        let resource = accepted.resource;
        let status = ClusterStatus {
            cluster: resource.cluster,
            observed_generation: resource.generation,
            at: self.now(),
            conditions: vec![Condition {
                kind: Kind::Ready,
                status: Truth::True,
                reason: Reason::AllBrokersReady,
                message: "the broker is ready".to_owned(),
                since: self.now(),
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
        store::resource::set_state(&mut tx, resource.id, State::Ready, "the broker is ready", self.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        ResourceRef::Id(resource.id)
    }

    /// The codes of the account's audit trail, oldest first.
    async fn trail(&self, caller: &Caller) -> Vec<String> {
        let events = self.control.audit(caller, crate::Page::default()).await.unwrap();
        events.items.into_iter().rev().map(|event| format!("{} {}", event.action, event.subject)).collect()
    }
}

fn settings() -> Settings {
    Settings {
        region: "local".to_owned(),
        release: Release("0.0.0".to_owned()),
        feature_level: FeatureLevel(1),
    }
}

fn dev(name: &str) -> CreateResource {
    CreateResource { name: Some(name.to_owned()), app: None, plan: "dev".to_owned(), region: None }
}
