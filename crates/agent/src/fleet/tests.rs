//! The agents of a process over a substrate that misbehaves as told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::intent::{Listener, Pool, RolloutPolicy, Security};
use model::{
    Action, BrokerId, Bytes, ClusterId, ClusterIntent, FeatureLevel, Generation, Lifecycle, Observed, Reason,
    Release,
};
use telemetry::Registry;
use uuid::Uuid;

use super::Fleet;
use crate::clock::{Clock, System};
use crate::substrate::{Performed, Substrate, SubstrateError};
use crate::{Board, Metrics};

/// A place with no brokers where none can be started.
#[derive(Clone, Default)]
struct Barren {
    looks: Arc<AtomicU32>,
    /// The look that is answered by a panic, counted from 1.
    breaks_at: u32,
    /// Whether nothing can be seen.
    dark: bool,
    /// A look at this cluster never ends.
    stuck: Option<ClusterId>,
}

impl Substrate for Barren {
    async fn observe(&self, cluster: ClusterId) -> Result<Observed, SubstrateError> {
        let look = self.looks.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(look != self.breaks_at, "a mistake, as the test wants it");
        if self.stuck == Some(cluster) {
            std::future::pending::<()>().await;
        }
        if self.dark {
            return Err(SubstrateError::transient("could not look", std::io::Error::other("it is dark")));
        }
        let at = System::now();
        Ok(Observed { at, brokers: BTreeMap::new(), cluster_ca: None, remains: false, gaps: Vec::new() })
    }

    async fn perform(&self, _: ClusterId, _: &Action) -> Result<Performed, SubstrateError> {
        let message = "no release is installed here".to_owned();
        Err(SubstrateError::Blocked { reason: Reason::ReleaseMissing, message })
    }

    async fn changed(&self, _: ClusterId) {
        System.sleep_until(System::now().plus(Duration::from_millis(10))).await;
    }
}

fn intent() -> ClusterIntent {
    ClusterIntent {
        cluster: ClusterId(Uuid::from_u128(1)),
        generation: Generation::FIRST,
        parent: None,
        name: "orders".to_owned(),
        release: Release("1".to_owned()),
        feature_level: FeatureLevel(1),
        pools: vec![Pool { name: "brokers".to_owned(), brokers: vec![BrokerId(0)], storage: Bytes::gib(1) }],
        listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
        client_cas: Vec::new(),
        config: BTreeMap::new(),
        rollout: RolloutPolicy::default(),
        lifecycle: Lifecycle::Run,
    }
}

/// Waits until the page shows a line that begins so.
async fn counted(registry: &Registry, line: &str) {
    let looking = async {
        while !registry.page().lines().any(|it| it.starts_with(line)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), looking).await;
    assert!(found.is_ok(), "no line {line}:\n{}", registry.page());
}

#[tokio::test]
async fn what_agents_do_is_counted_and_leaves_the_gauges_when_they_end() {
    let registry = Registry::new();
    let fleet = Fleet::measured(Barren::default(), System, Metrics::register(&registry), [intent()]);
    for line in [
        "penstock_agent_clusters 1",
        "penstock_agent_steps_total{sight=\"seen\"}",
        "penstock_agent_actions_total{action=\"start\",outcome=\"blocked\"} 1",
        "penstock_agent_held 1",
        "penstock_agent_driver_restarts_total 0",
    ] {
        counted(&registry, line).await;
    }
    fleet.stop().await;
    for line in ["penstock_agent_clusters 0", "penstock_agent_held 0", "penstock_agent_actions_in_flight 0"] {
        counted(&registry, line).await;
    }
}

#[tokio::test]
async fn looks_that_show_nothing_are_counted_apart() {
    let registry = Registry::new();
    let dark = Barren { dark: true, ..Barren::default() };
    let fleet = Fleet::measured(dark, System, Metrics::register(&registry), [intent()]);
    counted(&registry, "penstock_agent_steps_total{sight=\"blind\"}").await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_driver_that_breaks_down_is_started_again_and_its_cluster_cared_for() {
    let registry = Registry::new();
    let broken = Barren { breaks_at: 1, ..Barren::default() };
    let fleet = Fleet::measured(broken, System, Metrics::register(&registry), [intent()]);
    counted(&registry, "penstock_agent_driver_restarts_total 1").await;
    counted(&registry, "penstock_agent_steps_total{sight=\"seen\"}").await;
    let board: &Board = fleet.board();
    assert!(board.get(intent().cluster).is_some());
    fleet.stop().await;
    counted(&registry, "penstock_agent_clusters 0").await;
}

#[tokio::test]
async fn an_agent_that_ends_slowly_holds_up_its_own_cluster_and_no_other() {
    const SOON: Duration = Duration::from_secs(5);
    let stuck = Barren { stuck: Some(intent().cluster), ..Barren::default() };
    let fleet = Fleet::measured(stuck, System, Metrics::default(), [intent()]);
    let leaving = fleet.leave(intent().cluster, || Ok(()));
    let mut leaving = std::pin::pin!(leaving);
    let early = tokio::time::timeout(Duration::from_millis(50), leaving.as_mut()).await;
    assert!(early.is_err(), "its driver is in the middle of a look");
    let other = ClusterIntent { cluster: ClusterId(Uuid::from_u128(2)), ..intent() };
    let followed = tokio::time::timeout(SOON, fleet.follow(&other, |_| Ok(()))).await;
    followed.expect("another cluster does not wait").expect("it is taken");
    let same = intent();
    let again = fleet.follow(&same, |_| Ok(()));
    let early = tokio::time::timeout(Duration::from_millis(50), again).await;
    assert!(early.is_err(), "a cluster never has two agents");
}

#[tokio::test]
async fn a_cluster_that_was_left_takes_no_place_and_can_be_followed_again() {
    let fleet = Fleet::measured(Barren::default(), System, Metrics::default(), [intent()]);
    fleet.leave(intent().cluster, || Ok(())).await.unwrap();
    assert!(fleet.inner.slots().is_empty());
    fleet.follow(&intent(), |_| Ok(())).await.unwrap();
    assert_eq!(fleet.inner.slots().len(), 1);
    fleet.stop().await;
}
