//! The pass over one object: validate, hand the intent to the agent, put right what has no order, write the status.
//!
//! kube's `applier` sees to it that an object has one pass at a time and that as many objects as [`CONCURRENCY`] have
//! theirs side by side. A pass is asked for by changes of the object, of what belongs to it, and of what the agent says;
//! asking carries nothing, and every pass looks at everything.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::clock::System;
use agent::{DispatchError, Fleet};
use crd::{KafkaCluster, intent, labels, state};
use futures_util::{FutureExt, Stream, StreamExt};
use keyring::pki::Ca;
use kube::ResourceExt;
use kube::runtime::controller::{self, Action, Config, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use model::{ClusterId, ClusterIntent, ClusterStatus, Lifecycle};

use crate::authority;
use crate::clusters::Cluster;
use crate::error::Error;
use crate::events::Events;
use crate::objects::Guarded;
use crate::status::{self, compose};
use crate::substrate::Kubernetes;
use crate::upkeep::{self, Applied};
use crate::valid::{Valid, validate};

/// Objects that have their pass at the same time. A pass is mostly waiting for the API server.
pub const CONCURRENCY: u16 = 16;

/// How long a pass may take. It makes some ten requests of milliseconds; one that takes this long would hold up nothing
/// but itself, and is cut off so that a request that hangs is not waited for without end.
const PASS_LIMIT: Duration = Duration::from_secs(30);

/// How often an object has a pass although nothing asked for one. It costs no request unless something is wrong; it is
/// for what no watch shows, and for our own mistakes.
const RESYNC: Duration = Duration::from_secs(60);

/// What a pass needs.
#[derive(Debug)]
pub struct Context {
    /// Hands and eyes.
    pub kubernetes: Kubernetes,
    /// The agents.
    pub fleet: Fleet<Kubernetes, System>,
    /// Where Events go.
    pub events: Events,
    /// What was applied already.
    pub applied: Applied,
    /// Which object carries which cluster, and how often its passes failed in a row.
    pub objects: Mutex<BTreeMap<(String, String), Followed>>,
}

/// What is remembered of an object.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    cluster: Option<ClusterId>,
    /// Its object was found gone, and its agent is being ended.
    is_leaving: bool,
    failures: u32,
    /// The reasons that were told last, so that a status which could not be written is not told twice.
    told: Vec<status::News>,
}

/// Runs until the stream of objects ends or the future is dropped. `objects` is where they are found, `due` are those that
/// are to have a pass.
pub async fn run(
    context: Arc<Context>,
    objects: Store<Guarded>,
    due: impl Stream<Item = ObjectRef<Guarded>> + Send + 'static,
) {
    let config = Config::default().concurrency(CONCURRENCY);
    let due = due.map(Ok::<_, Infallible>);
    let passes = applier(
        |object, context| pass(object, context).boxed(),
        after_failure,
        Arc::clone(&context),
        objects,
        due,
        config,
    );
    // Side by side with the passes, which stand still while nobody asks for the next outcome: one of them may hold what
    // leaving waits for.
    passes.for_each_concurrent(None, |outcome| leave_gone(&context, outcome.err())).await;
}

/// Ends following a cluster whose object was found gone.
async fn leave_gone(context: &Context, failure: Option<controller::Error<Error, Infallible>>) {
    let Some(controller::Error::ObjectNotFound(gone)) = failure else { return };
    let key = (gone.namespace.clone().unwrap_or_default(), gone.name.clone());
    let followed = {
        let mut objects = context.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get_mut(&key).and_then(|followed| {
            // Whoever comes with this name meanwhile waits until the one before is left.
            followed.is_leaving = true;
            followed.cluster
        })
    };
    if let Some(cluster) = followed {
        tracing::info!(
            cluster.id = %cluster,
            "KafkaCluster {}/{} is gone; it is not followed any more", key.0, key.1
        );
        leave(context, cluster).await;
    }
    context.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
}

async fn leave(context: &Context, cluster: ClusterId) {
    // Nothing is stored that could fail to be forgotten.
    let _ = context.fleet.leave(cluster, || Ok(())).await;
    context.kubernetes.clusters.remove(cluster);
    context.applied.forget(cluster);
    context
        .kubernetes
        .metrics
        .clusters
        .set(i64::try_from(context.kubernetes.clusters.count()).unwrap_or(i64::MAX));
}

async fn pass(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    #[expect(clippy::disallowed_methods, reason = "measures how long a pass takes")]
    let begun = std::time::Instant::now();
    let outcome = match tokio::time::timeout(PASS_LIMIT, look_after(&object, &context)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::Slow { what: "looking after the cluster", limit: PASS_LIMIT }),
    };
    let word = outcome.as_ref().map_or_else(|error| error.class().name(), |_| "ok");
    context.kubernetes.metrics.reconciled(word, begun.elapsed());
    let key = key(&object);
    let mut objects = context.objects.lock().unwrap_or_else(PoisonError::into_inner);
    let followed = objects.entry(key).or_default();
    followed.failures = if outcome.is_ok() { 0 } else { followed.failures.saturating_add(1) };
    outcome.map(|()| Action::requeue(RESYNC))
}

fn after_failure(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    let (namespace, name) = key(&object);
    let failures = {
        let objects = context.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get(&(namespace.clone(), name.clone())).map_or(1, |followed| followed.failures)
    };
    let pause = error.pause(failures.saturating_sub(1));
    // Once for a series of failures: the status has the newest.
    if failures == 1 {
        tracing::warn!(
            "KafkaCluster {namespace}/{name}: {}; tried again in {} s",
            error.sentence(),
            pause.as_secs()
        );
    }
    Action::requeue(pause)
}

async fn look_after(object: &Guarded, context: &Context) -> Result<(), Error> {
    let object = match &object.0 {
        Ok(object) => object,
        Err(broken) => {
            let error = Error::Unreadable(broken.error.clone());
            let mut stand_in =
                KafkaCluster::new(&broken.metadata.name.clone().unwrap_or_default(), unspecified());
            stand_in.metadata = broken.metadata.clone();
            report(context, &stand_in, None, Some(&error), false).await?;
            return Err(error);
        }
    };
    if object.metadata.deletion_timestamp.is_some() {
        // What belongs to it is collected by Kubernetes; an agent would only make it anew.
        if let Some(cluster) = followed_as(context, object) {
            leave(context, cluster).await;
        }
        return Ok(());
    }
    let outcome = follow(object, context).await;
    let (cluster, own_clients, trouble) = match &outcome {
        Ok(followed) => (Some(followed.valid.id()), followed.valid.own_clients, None),
        Err(error) => (followed_as(context, object), object.spec.client_cas.is_empty(), Some(error)),
    };
    let said = cluster.and_then(|cluster| context.fleet.board().get(cluster));
    let kept = match &outcome {
        Ok(followed) => {
            let brokers = said.as_ref().map(ClusterStatus::bootstrap).unwrap_or_default();
            let Following { cluster, clients, .. } = followed;
            let now = System::now();
            upkeep::keep(&context.kubernetes, &context.applied, cluster, clients.as_ref(), &brokers, now)
                .await
        }
        Err(_) => Ok(()),
    };
    let trouble = trouble.or(kept.as_ref().err());
    report(context, object, said.as_ref(), trouble, own_clients).await?;
    outcome?;
    kept
}

/// A cluster that is followed.
struct Following {
    valid: Arc<Valid>,
    cluster: Arc<Cluster>,
    clients: Option<Ca>,
}

/// Validates an object and hands its intent to the agent.
async fn follow(object: &KafkaCluster, context: &Context) -> Result<Following, Error> {
    let kubernetes = &context.kubernetes;
    let id = intent::cluster_id(object)?;
    claim_id(context, object, id)?;
    // Once without our authority for clients, to know whether one is needed.
    let first = validate(object, None)?;
    let cluster = kubernetes.clusters.get(id).unwrap_or_else(|| kubernetes.clusters.put(first.clone()));
    let is_needed =
        first.own_clients && !matches!(first.intent.lifecycle, Lifecycle::Remove | Lifecycle::Pause);
    let clients = match is_needed {
        true => Some(authority::of_clients(&kubernetes.server, &kubernetes.caches, &cluster, &first).await?),
        false => cluster.known_authority(&labels::clients_ca_name(first.name(), id)),
    };
    let valid = validate(object, clients.as_ref().map(Ca::cert_pem))?;
    let intent = valid.intent.clone();
    let cluster = kubernetes.clusters.put(valid);
    kubernetes.metrics.clusters.set(i64::try_from(kubernetes.clusters.count()).unwrap_or(i64::MAX));
    hand_over(context, &intent).await?;
    cluster.changed.notify_one();
    Ok(Following { valid: cluster.valid(), cluster, clients })
}

async fn hand_over(context: &Context, intent: &ClusterIntent) -> Result<(), Error> {
    match context.fleet.follow(intent, |_| Ok(())).await {
        Ok(()) => Ok(()),
        // The object is the truth here: a new authority for clients changes the intent without a new generation, and
        // an object that was deleted and made again begins anew. The agent loses no more than its memory.
        Err(DispatchError::Different { cluster, .. } | DispatchError::Superseded { cluster, .. }) => {
            let _ = context.fleet.leave(cluster, || Ok(())).await;
            let followed = context.fleet.follow(intent, |_| Ok(())).await;
            followed.map_err(|error| Error::Waiting(error.to_string()))
        }
        Err(error) => Err(Error::Waiting(error.to_string())),
    }
}

/// Sees to it that one object speaks for a cluster: two with the same id would fight over its brokers.
fn claim_id(context: &Context, object: &KafkaCluster, id: ClusterId) -> Result<(), Error> {
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    let mut objects = context.objects.lock().unwrap_or_else(PoisonError::into_inner);
    let other = objects.iter().find(|(other, followed)| **other != key && followed.cluster == Some(id));
    if let Some(((namespace, name), _)) = other {
        let sentence = format!(
            "cluster {id} is spoken for by KafkaCluster {namespace}/{name}; give this one another clusterId, or delete \
             that one (its claims stay) and then its data can be taken up here"
        );
        return Err(Error::Spec(intent::Invalid { problems: vec![sentence] }));
    }
    let followed = objects.entry(key).or_default();
    if followed.is_leaving {
        return Err(Error::Waiting("the cluster that had this name before is being left".to_owned()));
    }
    followed.cluster = Some(id);
    Ok(())
}

fn followed_as(context: &Context, object: &KafkaCluster) -> Option<ClusterId> {
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    context.objects.lock().unwrap_or_else(PoisonError::into_inner).get(&key)?.cluster
}

/// Writes the status if it says something new, and tells what is worth an Event.
async fn report(
    context: &Context,
    object: &KafkaCluster,
    said: Option<&ClusterStatus>,
    trouble: Option<&Error>,
    own_clients: bool,
) -> Result<(), Error> {
    if said.is_none() && trouble.is_none() {
        // Its agent looks for the first time, and says what it sees in a moment.
        return Ok(());
    }
    let after = compose(object, said, trouble, own_clients, System::now());
    let before = object.status.as_ref();
    if before.is_some_and(|before| state::says_the_same(before, &after)) {
        return Ok(());
    }
    let news = status::news(before, &after);
    let is_told = {
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        let mut objects = context.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let followed = objects.entry(key).or_default();
        let is_told = followed.told == news;
        followed.told.clone_from(&news);
        is_told
    };
    if !is_told {
        for it in &news {
            context.events.tell(object, it).await;
        }
    }
    // Our own types have string keys and finite numbers.
    let value = serde_json::to_value(&after).map_err(|error| Error::Unreadable(error.to_string()))?;
    context.kubernetes.server.apply_status(object, value).await?;
    context.kubernetes.metrics.wrote_status();
    Ok(())
}

fn key(object: &Guarded) -> (String, String) {
    let meta = match &object.0 {
        Ok(object) => &object.metadata,
        Err(broken) => &broken.metadata,
    };
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

/// The specification of an object that has none that can be read; only its name and uid are used.
fn unspecified() -> crd::KafkaClusterSpec {
    crd::KafkaClusterSpec {
        release: String::new(),
        feature_level: 1,
        pools: Vec::new(),
        listeners: Vec::new(),
        client_cas: Vec::new(),
        config: BTreeMap::new(),
        lifecycle: crd::spec::Lifecycle::Pause,
        deletion: crd::spec::Deletion::Retain,
        cluster_id: None,
        intent: None,
    }
}
