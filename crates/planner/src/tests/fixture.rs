//! Clusters that read as sentences.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use expect_test::Expect;
use model::certificate::Validity;
use model::intent::{Listener, Pool, RolloutPolicy, Security};
use model::observed::{BrokerSeen, Exit, Gap, Process, Readiness};
use model::status::Endpoint;
use model::version::{FeatureLevel, Release};
use model::{BrokerId, ClusterId, ClusterIntent, Generation, Lifecycle, Observed, Reason, Timestamp};
use uuid::Uuid;

use crate::memory::{Memory, Past};
use crate::verify::brief;
use crate::{decide, spec, verify};

/// The moment of every decision here; brokers were started at 0, and ended at this moment.
const NOW: Timestamp = Timestamp(1_000_000);

pub(super) struct Fixture {
    intent: ClusterIntent,
    seen: Observed,
    memory: Memory,
}

/// A cluster that is to run so many brokers, and of which nothing was seen yet but that it exists.
pub(super) fn cluster(brokers: i32) -> Fixture {
    let intent = ClusterIntent {
        cluster: ClusterId(Uuid::nil()),
        generation: Generation(2),
        parent: Some(Generation::FIRST),
        name: "orders".to_owned(),
        release: Release("1".to_owned()),
        feature_level: FeatureLevel(1),
        pools: vec![Pool {
            name: "brokers".to_owned(),
            brokers: (0..brokers).map(BrokerId).collect(),
            storage: model::size::Bytes::gib(1),
        }],
        listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
        client_cas: Vec::new(),
        config: BTreeMap::new(),
        rollout: RolloutPolicy::default(),
        lifecycle: Lifecycle::Run,
    };
    let seen =
        Observed { at: NOW, brokers: BTreeMap::new(), cluster_ca: None, remains: true, gaps: Vec::new() };
    Fixture { intent, seen, memory: Memory::default() }
}

pub(super) fn crashed() -> Exit {
    Exit::Crashed { said: "killed by signal 9".to_owned() }
}

impl Fixture {
    pub(super) fn lifecycle(mut self, lifecycle: Lifecycle) -> Fixture {
        self.intent.lifecycle = lifecycle;
        self
    }

    /// It has its place, and something outside of it keeps it from running.
    pub(super) fn held(self, id: i32, reason: Reason, why: &str) -> Fixture {
        let spec = self.fingerprint(id);
        self.running(id, Readiness::Held { reason, why: why.to_owned() }, spec)
    }

    pub(super) fn ready(self, id: i32) -> Fixture {
        let spec = self.fingerprint(id);
        self.running(id, Readiness::Ready, spec)
    }

    /// It says that it serves, and for so long its address has not led to it.
    pub(super) fn unreached(mut self, id: i32, refused: bool, lasts: Duration) -> Fixture {
        let since = Timestamp(NOW.0 - i64::try_from(lasts.as_millis()).expect("short"));
        let past = Past { unreached_since: Some(since), ..Past::default() };
        self.memory.brokers.insert(BrokerId(id), past);
        let spec = self.fingerprint(id);
        let mut fixture = self.running(id, Readiness::Unreached { refused }, spec);
        let endpoint = Endpoint { host: "10.0.0.1".to_owned(), port: 31_092 };
        fixture.seen.brokers.entry(BrokerId(id)).and_modify(|seen| seen.endpoint = Some(endpoint));
        fixture
    }

    /// A broker that was seen has a certificate of a year, of which so many days are left.
    pub(super) fn certificate_left(mut self, id: i32, days: i64) -> Fixture {
        const DAY_MS: i64 = 86_400_000;
        let until = Timestamp(NOW.0 + days * DAY_MS);
        let certificate = Some(Validity { from: Timestamp(until.0 - 360 * DAY_MS), until });
        self.seen.brokers.entry(BrokerId(id)).and_modify(|seen| seen.certificate = certificate);
        self
    }

    /// It runs what an earlier intent asked for.
    pub(super) fn outdated(self, id: i32, readiness: Readiness) -> Fixture {
        self.running(id, readiness, Some("of an earlier intent".to_owned()))
    }

    fn running(mut self, id: i32, readiness: Readiness, spec: Option<String>) -> Fixture {
        let process = Process::Running { incarnation: format!("{id}#1"), since: Timestamp(0) };
        let seen = BrokerSeen { process, readiness, spec, endpoint: None, certificate: None };
        self.seen.brokers.insert(BrokerId(id), seen);
        self
    }

    pub(super) fn ended(mut self, id: i32, exit: Exit) -> Fixture {
        let process = Process::Exited { incarnation: format!("{id}#1"), at: NOW, exit };
        let spec = self.fingerprint(id);
        let seen =
            BrokerSeen { process, readiness: Readiness::Unknown, spec, endpoint: None, certificate: None };
        self.seen.brokers.insert(BrokerId(id), seen);
        self
    }

    pub(super) fn quick_ends(mut self, id: i32, quick_ends: u32) -> Fixture {
        self.memory.brokers.insert(BrokerId(id), Past { quick_ends, ..Past::default() });
        self
    }

    pub(super) fn hidden(mut self, id: i32) -> Fixture {
        let what = "its directory cannot be read".to_owned();
        self.seen.gaps.push(Gap { broker: Some(BrokerId(id)), what });
        self
    }

    pub(super) fn nothing_left(mut self) -> Fixture {
        self.seen.remains = false;
        self
    }

    /// A newer observation was considered already.
    pub(super) fn seen_before(mut self) -> Fixture {
        self.memory.seen_at = Some(Timestamp(NOW.0 + 1));
        self
    }

    fn fingerprint(&self, id: i32) -> Option<String> {
        let pool = &self.intent.pools[0];
        Some(spec::of(&self.intent, BrokerId(id), pool).fingerprint())
    }
}

/// Decides, holds the decision against the rules, and compares it.
#[track_caller]
pub(super) fn check(fixture: Fixture, expected: Expect) {
    let Fixture { intent, seen, memory } = fixture;
    let decision = decide(&intent, &seen, &memory, NOW);
    let broken = verify(&intent, &seen, &memory, NOW, &decision);
    assert!(broken.is_empty(), "{broken:#?}");
    let mut text: Vec<String> = decision.actions.iter().map(brief).collect();
    for condition in &decision.report.conditions {
        let mut line = String::new();
        let _ = write!(line, "{:?} {:?} {:?}: ", condition.kind, condition.status, condition.reason);
        text.push(line + &condition.message);
    }
    if decision.report.removed {
        text.push("removed".to_owned());
    }
    expected.assert_eq(&text.join("\n"));
}
