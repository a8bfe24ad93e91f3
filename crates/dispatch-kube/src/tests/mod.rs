//! The dispatch against pretended API servers.
//!
//! [`script`] answers request by request and writes down what was asked, for exact sequences; [`server`] is a small API
//! server in memory with watches, for what must hold whatever the sequence: the promises of seam A ([`promises`]) and
//! that nothing is lost when watches drop or requests fail ([`watching`]).

mod connecting;
mod promises;
mod publishing;
mod script;
mod server;
mod watching;
mod withdrawing;

use std::collections::BTreeMap;
use std::time::Duration;

use crd::intent::Placement;
use model::condition::{Condition, Kind, Truth};
use model::intent::{Listener, Pool, RolloutPolicy, Security};
use model::status::{BrokerStatus, Endpoint};
use model::{
    BrokerId, Bytes, ClusterId, ClusterIntent, ClusterStatus, FeatureLevel, Generation, Lifecycle, Reason,
    Release, Timestamp,
};
use telemetry::Registry;
use uuid::Uuid;

use crate::{Config, Metrics};

fn config() -> Config {
    Config { namespace: "fleet".to_owned(), placement: Placement::default() }
}

fn metrics() -> Metrics {
    Metrics::register(&Registry::new())
}

/// The first intent of a cluster.
fn orders() -> ClusterIntent {
    ClusterIntent {
        cluster: ClusterId(Uuid::from_u128(7)),
        generation: Generation::FIRST,
        parent: None,
        name: "orders".to_owned(),
        release: Release("0.0.0".to_owned()),
        feature_level: FeatureLevel(1),
        pools: vec![Pool { name: "brokers".to_owned(), brokers: vec![BrokerId(0)], storage: Bytes::gib(1) }],
        listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
        client_cas: vec!["-----BEGIN CERTIFICATE-----".to_owned()],
        config: BTreeMap::new(),
        rollout: RolloutPolicy::default(),
        lifecycle: Lifecycle::Run,
    }
}

/// The intent after this one, with another setting.
fn next(intent: &ClusterIntent) -> ClusterIntent {
    let mut next = intent.clone();
    next.parent = Some(intent.generation);
    next.generation = intent.generation.next();
    next.config.insert("num.partitions".to_owned(), next.generation.to_string());
    next
}

/// The intent after this one, which removes the cluster.
fn removal(intent: &ClusterIntent) -> ClusterIntent {
    ClusterIntent { lifecycle: Lifecycle::Remove, ..next(intent) }
}

/// What an operator says that has done what the intent asks for.
fn reached(intent: &ClusterIntent) -> ClusterStatus {
    let removed = intent.lifecycle == Lifecycle::Remove;
    let (truth, reason) = match removed {
        true => (Truth::False, Reason::Removed),
        false => (Truth::True, Reason::AllBrokersReady),
    };
    let at = Timestamp(1_795_478_400_000 + intent.generation.0);
    let condition =
        |kind, status| Condition { kind, status, reason, message: reason.meaning().to_owned(), since: at };
    let broker = BrokerStatus {
        id: BrokerId(0),
        ready: Truth::True,
        reason,
        message: "ready".to_owned(),
        endpoint: Some(Endpoint { host: "10.0.0.7".to_owned(), port: 9_093 }),
        restarts: 0,
    };
    ClusterStatus {
        cluster: intent.cluster,
        observed_generation: intent.generation,
        at,
        conditions: vec![condition(Kind::Ready, truth), condition(Kind::Progressing, Truth::False)],
        brokers: if removed { Vec::new() } else { vec![broker] },
        waiting: Vec::new(),
        cluster_ca: Some("the cluster's authority".to_owned()),
        removed,
    }
}

/// Waits for something that comes about by itself.
async fn in_time<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    const PATIENCE: Duration = Duration::from_secs(15);
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(value) => value,
        Err(_) => panic!("never came about: {what}"),
    }
}
