//! The reconciler against a real Postgres and pretended agents, with crashes at any await.

mod agents;
mod crashes;
mod handing_over;
mod judgement;
mod leading;
mod life;
mod outages;

use std::sync::Arc;
use std::time::Duration;

use agent::clock::System;
use control::{Caller, Control, CreateResource, Resource, Settings};
use keyring::seal::MasterKey;
use model::resource::State;
use model::{FeatureLevel, Release};
use store::Store;
use testkit::Database;
use tokio_util::sync::CancellationToken;

use crate::{Config, Reconciler};
use agents::Agents;

/// Everything that outlives a server.
struct World {
    control: Control,
    store: Store,
    agents: Agents,
    caller: Caller,
    database: Database,
}

impl World {
    async fn new() -> World {
        let database = Database::create().await;
        let store = Store::connect(&database.url()).unwrap();
        let settings = Settings {
            region: "local".to_owned(),
            release: Release("0.0.0".to_owned()),
            feature_level: FeatureLevel(1),
        };
        let control = Control::new(settings, store.clone(), MasterKey::from_bytes([7; 32]), System::now);
        control.prepare().await.unwrap();
        let account = control.create_account("acme").await.unwrap();
        let caller = control.caller_for(account.id, "a test").await.unwrap();
        World { control, store, agents: Agents::default(), caller, database }
    }

    fn reconciler(&self) -> Reconciler<Agents> {
        let (store, control) = (self.store.clone(), self.control.clone());
        Reconciler::new(store, control, self.agents.clone(), System::now, hurried())
    }

    async fn accept(&self, name: &str) -> control::Accepted {
        let wanted =
            CreateResource { name: Some(name.to_owned()), app: None, plan: "dev".to_owned(), region: None };
        self.control.create_resource(&self.caller, &wanted, None).await.unwrap()
    }

    /// Waits until a resource has a state. A database that is too busy to answer is asked again.
    async fn until(&self, name: &str, state: State) -> Resource {
        eventually(&format!("{name} is {state:?}"), async || {
            let resource = self.control.resource(&self.caller, &name.into()).await.ok()?;
            (resource.state == state).then_some(resource)
        })
        .await
    }

    async fn ready(&self, name: &str) -> Resource {
        self.until(name, State::Ready).await
    }

    async fn destroy(&self, name: &str) -> control::Accepted {
        self.control.destroy_resource(&self.caller, &name.into(), None).await.unwrap()
    }
}

/// Intervals for tests that do not want to wait. The lease is the exception: on a busy machine a short one runs out
/// between two renewals, and servers would take it from each other without end.
fn hurried() -> Config {
    Config {
        lease_valid_for: Duration::from_millis(1_500),
        poll_every: Duration::from_millis(100),
        jobs_every: Duration::from_millis(100),
        pause_after_failure: Duration::from_millis(20),
        prune_every: Duration::from_millis(200),
        take_stock_every: Duration::from_millis(100),
    }
}

/// A reconciler that runs until this is dropped, in a task of its own.
struct Running {
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(reconciler: Reconciler<Agents>) -> Running {
        let cancel = CancellationToken::new();
        let (reconciler, token) = (Arc::new(reconciler), cancel.clone());
        Running { cancel, task: tokio::spawn(async move { reconciler.run(token).await }) }
    }

    /// Asks it to end and waits for it.
    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

/// Waits for something that must come about by itself.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    // Only a test that fails waits for so long.
    const PATIENCE: Duration = Duration::from_secs(60);
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never came about: {what}"))
}
