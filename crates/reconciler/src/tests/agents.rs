//! Pretended agents: they take intents as real ones do, and report at once what the intent asks for. They outlive every
//! server, count what they are told, and panic at what no agent may ever be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent::clock::System;
use agent::{Dispatch, DispatchError};
use futures_util::Stream;
use model::condition::{Condition, Kind, Truth};
use model::status::{BrokerStatus, Endpoint};
use model::{BrokerId, ClusterId, ClusterIntent, ClusterStatus, Lifecycle, Reason, Timestamp};
use tokio::sync::watch;

#[derive(Debug)]
struct State {
    intents: BTreeMap<ClusterId, ClusterIntent>,
    statuses: BTreeMap<ClusterId, ClusterStatus>,
    withdrawn: BTreeSet<ClusterId>,
    /// Refuse everything with `Unavailable`.
    away: bool,
    /// Refuse every intent for this reason.
    refusing: Option<String>,
    /// Clusters whose intent was lost, for each reader to be told.
    lost: BTreeSet<ClusterId>,
    /// How often an intent was taken, the same one again included.
    taken: u32,
    /// Report this instead of being ready, since then.
    stuck: Option<(Reason, Timestamp)>,
    /// No two reports are of the same moment.
    last_report: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Agents {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
}

impl Default for Agents {
    fn default() -> Agents {
        let state = State {
            intents: BTreeMap::new(),
            statuses: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            away: false,
            refusing: None,
            lost: BTreeSet::new(),
            taken: 0,
            stuck: None,
            last_report: System::now(),
        };
        Agents { state: Arc::new(Mutex::new(state)), changed: watch::channel(()).0 }
    }
}

impl Agents {
    pub(super) fn be_away(&self, away: bool) {
        self.lock().away = away;
    }

    pub(super) fn refuse(&self, reason: Option<&str>) {
        self.lock().refusing = reason.map(str::to_owned);
    }

    /// Forgets an intent, as agents do whose storage somebody tidied.
    pub(super) fn lose(&self, cluster: ClusterId) {
        let mut state = self.lock();
        state.intents.remove(&cluster);
        state.statuses.remove(&cluster);
        state.lost.insert(cluster);
        drop(state);
        self.changed.send_replace(());
    }

    pub(super) fn taken(&self) -> u32 {
        self.lock().taken
    }

    pub(super) fn be_stuck(&self, reason: Reason, since: Timestamp) {
        self.lock().stuck = Some((reason, since));
    }

    /// Reports again for every cluster, with what is the matter now.
    pub(super) fn recover(&self) {
        let mut state = self.lock();
        state.stuck = None;
        let intents: Vec<ClusterIntent> = state.intents.values().cloned().collect();
        for intent in intents {
            report(&mut state, &intent);
        }
        drop(state);
        self.changed.send_replace(());
    }

    pub(super) fn followed(&self) -> Vec<ClusterId> {
        self.lock().intents.keys().copied().collect()
    }

    pub(super) fn withdrawn(&self) -> Vec<ClusterId> {
        self.lock().withdrawn.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_if_away(state: &State) -> Result<(), DispatchError> {
        if state.away {
            let source = std::io::Error::other("away, as the test wants it");
            return Err(DispatchError::Unavailable { step: "hand over".to_owned(), source: source.into() });
        }
        Ok(())
    }
}

impl Dispatch for Agents {
    async fn publish(&self, intent: &ClusterIntent) -> Result<(), DispatchError> {
        // As a real agent writes a file first: a point at which a crash may hit.
        tokio::task::yield_now().await;
        {
            let mut state = self.lock();
            Agents::refuse_if_away(&state)?;
            if let Some(message) = state.refusing.clone() {
                return Err(DispatchError::Refused { message });
            }
            state.taken += 1;
            assert!(
                !state.withdrawn.contains(&intent.cluster),
                "{} was withdrawn and is published again",
                intent.cluster
            );
            match state.intents.get(&intent.cluster) {
                Some(current) if current.generation > intent.generation => {
                    return Err(DispatchError::Superseded {
                        cluster: intent.cluster,
                        current: current.generation,
                        offered: intent.generation,
                    });
                }
                Some(current) if current.generation == intent.generation => {
                    assert_eq!(current, intent, "an intent is never changed");
                }
                _ => {
                    state.intents.insert(intent.cluster, intent.clone());
                    report(&mut state, intent);
                }
            }
        }
        self.changed.send_replace(());
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn withdraw(&self, cluster: ClusterId) -> Result<(), DispatchError> {
        tokio::task::yield_now().await;
        let mut state = self.lock();
        Agents::refuse_if_away(&state)?;
        if let Some(status) = state.statuses.remove(&cluster) {
            assert!(status.removed, "{cluster} still has brokers and is withdrawn");
        }
        state.intents.remove(&cluster);
        state.withdrawn.insert(cluster);
        Ok(())
    }

    fn statuses(&self) -> impl Stream<Item = ClusterStatus> + Send {
        let mut changed = self.changed.subscribe();
        changed.mark_changed();
        let told: BTreeMap<ClusterId, Timestamp> = BTreeMap::new();
        futures_util::stream::unfold(
            (self.clone(), changed, told),
            |(agents, mut changed, mut told)| async move {
                loop {
                    let news = {
                        let mut state = agents.lock();
                        if let Some(cluster) = state.lost.pop_first() {
                            let lost = ClusterStatus::follows_nothing(cluster, Timestamp(0));
                            drop(state);
                            return Some((lost, (agents, changed, told)));
                        }
                        let mut statuses = state.statuses.values();
                        statuses.find(|status| told.get(&status.cluster) != Some(&status.at)).cloned()
                    };
                    if let Some(status) = news {
                        told.insert(status.cluster, status.at);
                        return Some((status, (agents, changed, told)));
                    }
                    changed.changed().await.ok()?;
                }
            },
        )
    }
}

/// What an agent says once it has done what the intent asks for, or is stuck.
fn report(state: &mut State, intent: &ClusterIntent) {
    let removed = intent.lifecycle == Lifecycle::Remove;
    state.last_report = state.last_report.plus(Duration::from_millis(1)).max(System::now());
    let at = state.last_report;
    let (truth, reason, since) = match state.stuck {
        Some((reason, since)) if !removed => (Truth::False, reason, since),
        _ if removed => (Truth::False, Reason::Removed, at),
        _ => (Truth::True, Reason::AllBrokersReady, at),
    };
    let message = reason.meaning().to_owned();
    let condition = |kind, status| Condition { kind, status, reason, message: message.clone(), since };
    let broker = BrokerStatus {
        id: BrokerId(0),
        ready: truth,
        reason,
        message: message.clone(),
        endpoint: Some(Endpoint { host: "127.0.0.1".to_owned(), port: 19_096 }),
        restarts: 0,
    };
    let status = ClusterStatus {
        cluster: intent.cluster,
        observed_generation: intent.generation,
        at,
        conditions: vec![condition(Kind::Ready, truth), condition(Kind::Progressing, Truth::False)],
        brokers: if removed { vec![] } else { vec![broker] },
        waiting: vec![],
        cluster_ca: Some("the brokers' CA".to_owned()),
        removed,
    };
    state.statuses.insert(intent.cluster, status);
}
