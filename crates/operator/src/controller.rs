//! The pass over one object: validate, hand the intent to the agent, put right what has no order, write the status.
//!
//! kube's `applier` sees to it that an object has one pass at a time and that as many objects as [`CONCURRENCY`] have
//! theirs side by side. A pass is asked for by changes of the object, of what belongs to it, and of what the agent says;
//! asking carries nothing, and every pass looks at everything.

mod following;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::Fleet;
use agent::clock::System;
use crd::{KafkaCluster, state};
use futures_util::{FutureExt, Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use model::ClusterStatus;

use crate::error::Error;
use crate::events::Events;
use crate::objects::Guarded;
use crate::status::{self, compose};
use crate::substrate::Kubernetes;
use crate::upkeep::{self, Applied};

use following::{Following, follow, followed_as, leave, leave_gone};

pub use following::Followed;

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
