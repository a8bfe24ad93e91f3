//! Which clusters' objects there are, and which are to have a pass.
//!
//! kube's `Controller` would do this too, and was found wanting in three ways. It waits after each failure of its watch,
//! up to half a minute and more, and meanwhile takes in no wake-up at all: a service that somebody deleted stayed away
//! until the next resync, because clusters themselves could not be watched. It says nothing about an object that was
//! deleted. And after a list it asks for passes over objects that its store does not hold yet. So the watch is followed
//! here, apart from the wake-ups, and kube's `applier` only schedules.

use futures_util::{Stream, StreamExt, stream};
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

use crd::KafkaCluster;

use crate::caches::{Wake, Woken};
use crate::error::chain;
use crate::watching;

/// An object that may be none of ours.
pub type Guarded = DeserializeGuard<KafkaCluster>;

/// Watches the objects. Returns where they are found, and the ones that are to have a pass: each that changed or was
/// deleted, and all of them after a list. `wake` is called after a list too: objects that are gone since are not in it.
/// The watch goes on while the stream is read.
pub fn watch(
    api: Api<Guarded>,
    wake: Wake,
) -> (Store<Guarded>, impl Stream<Item = ObjectRef<Guarded>> + Send) {
    let (objects, mut writer) = reflector::store();
    let there = objects.clone();
    let mut trouble: Option<String> = None;
    let touched = watching::watch(api, None).map(move |event| match event {
        Ok(event) => {
            // A list that has begun may fail like the one before.
            if !matches!(event, Event::Init | Event::InitApply(_)) {
                trouble = None;
            }
            writer.apply_watcher_event(&event);
            touched(&event, &there, &wake)
        }
        Err(error) => {
            say(&mut trouble, &error);
            Vec::new()
        }
    });
    (objects, touched.flat_map(stream::iter))
}

fn touched(event: &Event<Guarded>, there: &Store<Guarded>, wake: &Wake) -> Vec<ObjectRef<Guarded>> {
    match event {
        Event::Apply(object) | Event::Delete(object) => vec![ObjectRef::from_obj(object)],
        // They are in the store when the list is complete.
        Event::Init | Event::InitApply(_) => Vec::new(),
        Event::InitDone => {
            wake(Woken::Every);
            there.state().iter().map(|object| ObjectRef::from_obj(&**object)).collect()
        }
    }
}

/// Tells of a broken watch once for each reason, not once for each try.
fn say(trouble: &mut Option<String>, error: &watcher::Error) {
    let sentence = chain(error);
    if trouble.as_ref() != Some(&sentence) {
        tracing::warn!("KafkaClusters cannot be watched; those that are known are looked after: {sentence}");
    }
    *trouble = Some(sentence);
}
