//! What was seen of one kind of object through a watch, by cluster.
//!
//! Like kube's own store, with two differences that the operator needs: objects are found by their cluster in the time
//! that the cluster's few objects take, however many others there are; and it knows whether its watch works. What lies
//! here may be seconds old: it is good for looking, and whoever deletes reads anew first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crd::labels;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};
use model::ClusterId;

use crate::error::chain;

/// Where an object lies: with its cluster, or with no cluster (nodes, and what lost its label).
type Place = Option<ClusterId>;

/// Namespace and name.
type Key = (String, String);

/// Objects of one kind. A cheap handle; clones show the same.
#[derive(Debug)]
pub struct Shelf<K> {
    inner: Arc<Mutex<Inner<K>>>,
}

impl<K> Clone for Shelf<K> {
    fn clone(&self) -> Shelf<K> {
        Shelf { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
struct Inner<K> {
    objects: Objects<K>,
    /// Objects of a list that is not complete yet.
    arriving: Objects<K>,
    /// Whether a list was ever complete.
    is_filled: bool,
    /// What is wrong with the watch, while something is.
    trouble: Option<String>,
}

#[derive(Debug)]
struct Objects<K> {
    by_place: BTreeMap<Place, BTreeMap<Key, Arc<K>>>,
    /// Where each object lies: its label may have changed since.
    places: BTreeMap<Key, Place>,
}

impl<K> Default for Shelf<K> {
    fn default() -> Shelf<K> {
        let inner = Inner {
            objects: Objects::default(),
            arriving: Objects::default(),
            is_filled: false,
            trouble: None,
        };
        Shelf { inner: Arc::new(Mutex::new(inner)) }
    }
}

impl<K> Default for Objects<K> {
    fn default() -> Objects<K> {
        Objects { by_place: BTreeMap::new(), places: BTreeMap::new() }
    }
}

/// The cluster that an object's label names.
pub fn cluster_of<K: Resource>(object: &K) -> Option<ClusterId> {
    object.labels().get(labels::CLUSTER_ID)?.parse().ok()
}

impl<K: Resource> Shelf<K> {
    /// Takes in what the watch says. Returns the clusters that it is about, and whether everything may have changed.
    pub fn take(&self, event: Result<Event<K>, watcher::Error>) -> Touched {
        let mut inner = self.lock();
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                let sentence = chain(&error);
                let news = inner.trouble.as_ref() != Some(&sentence);
                inner.trouble = Some(sentence.clone());
                return Touched { trouble: news.then_some(sentence), all: news, ..Touched::default() };
            }
        };
        // A list that has begun may fail like the one before; only what it brought is news.
        let is_sight = !matches!(event, Event::Init | Event::InitApply(_));
        let recovered = is_sight && inner.trouble.take().is_some();
        let mut touched = Touched { all: recovered, ..Touched::default() };
        match event {
            Event::Apply(object) => touched.clusters = inner.objects.put(object),
            Event::Delete(object) => touched.clusters = inner.objects.remove(&key(&object)),
            Event::Init => inner.arriving = Objects::default(),
            Event::InitApply(object) => {
                inner.arriving.put(object);
            }
            Event::InitDone => {
                inner.objects = std::mem::take(&mut inner.arriving);
                inner.is_filled = true;
                touched.all = true;
            }
        }
        touched
    }

    /// The objects of a cluster, in the order of their names.
    #[must_use]
    pub fn of(&self, cluster: ClusterId) -> Vec<Arc<K>> {
        let inner = self.lock();
        inner.objects.by_place.get(&Some(cluster)).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The object of a cluster with this name.
    #[must_use]
    pub fn find(&self, cluster: ClusterId, name: &str) -> Option<Arc<K>> {
        let inner = self.lock();
        let mut objects = inner.objects.by_place.get(&Some(cluster))?.values();
        objects.find(|object| object.meta().name.as_deref() == Some(name)).cloned()
    }

    /// All objects that belong to no cluster.
    #[must_use]
    pub fn loose(&self) -> Vec<Arc<K>> {
        let inner = self.lock();
        inner.objects.by_place.get(&None).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Whether everything there is has been seen at least once.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.lock().is_filled
    }

    /// What is wrong with the watch at the moment.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        // A panic of another thread cannot leave more than a single object out of place, and the next list mends it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event of a watch is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// These clusters.
    pub clusters: Vec<ClusterId>,
    /// Every cluster, perhaps.
    pub all: bool,
    /// What is newly wrong with the watch.
    pub trouble: Option<String>,
}

impl<K: Resource> Objects<K> {
    fn put(&mut self, object: K) -> Vec<ClusterId> {
        let (key, place) = (key(&object), cluster_of(&object));
        let before = self.places.insert(key.clone(), place).filter(|before| *before != place);
        if let Some(before) = before {
            self.take_out(before, &key);
        }
        self.by_place.entry(place).or_default().insert(key, Arc::new(object));
        before.flatten().into_iter().chain(place).collect()
    }

    fn remove(&mut self, key: &Key) -> Vec<ClusterId> {
        let Some(place) = self.places.remove(key) else { return Vec::new() };
        self.take_out(place, key);
        place.into_iter().collect()
    }

    fn take_out(&mut self, place: Place, key: &Key) {
        if let Some(objects) = self.by_place.get_mut(&place) {
            objects.remove(key);
            if objects.is_empty() {
                self.by_place.remove(&place);
            }
        }
    }
}

fn key<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use uuid::Uuid;

    use super::*;

    fn id(cluster: u128) -> ClusterId {
        ClusterId(Uuid::from_u128(cluster))
    }

    fn pod(name: &str, cluster: u128) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.namespace = Some("shop".to_owned());
        pod.metadata.name = Some(name.to_owned());
        pod.labels_mut().insert(labels::CLUSTER_ID.to_owned(), id(cluster).to_string());
        pod
    }

    fn names(shelf: &Shelf<Pod>, cluster: u128) -> Vec<String> {
        shelf.of(id(cluster)).iter().map(|pod| pod.name_any()).collect()
    }

    #[test]
    fn objects_are_found_by_their_cluster_and_move_with_their_label() {
        let shelf = Shelf::default();
        assert_eq!(shelf.take(Ok(Event::Apply(pod("b", 1)))).clusters, [id(1)]);
        shelf.take(Ok(Event::Apply(pod("a", 1))));
        assert_eq!(names(&shelf, 1), ["a", "b"]);
        assert_eq!(shelf.take(Ok(Event::Apply(pod("a", 2)))).clusters, [id(1), id(2)]);
        assert_eq!((names(&shelf, 1), names(&shelf, 2)), (vec!["b".to_owned()], vec!["a".to_owned()]));
        // The event of a deletion may carry an older label.
        assert_eq!(shelf.take(Ok(Event::Delete(pod("a", 1)))).clusters, [id(2)]);
        assert!(names(&shelf, 2).is_empty());
    }

    #[test]
    fn a_new_list_replaces_what_was_there_and_only_when_it_is_complete() {
        let shelf = Shelf::default();
        shelf.take(Ok(Event::Apply(pod("gone meanwhile", 1))));
        assert!(!shelf.is_filled());
        shelf.take(Ok(Event::Init));
        shelf.take(Ok(Event::InitApply(pod("still there", 1))));
        assert_eq!(names(&shelf, 1), ["gone meanwhile"]);
        assert!(shelf.take(Ok(Event::InitDone)).all);
        assert_eq!(names(&shelf, 1), ["still there"]);
        assert!(shelf.is_filled());
    }

    #[test]
    fn trouble_is_news_once_and_over_when_something_is_seen() {
        let shelf = Shelf::<Pod>::default();
        let broken = || Err(watcher::Error::NoResourceVersion);
        assert!(shelf.take(broken()).trouble.is_some());
        let again = shelf.take(broken());
        assert_eq!((again.trouble, again.all), (None, false));
        assert!(shelf.trouble().is_some());
        // It tries again, which shows nothing yet.
        assert!(!shelf.take(Ok(Event::Init)).all);
        assert!(!shelf.take(Ok(Event::InitApply(pod("a", 1)))).all);
        assert_eq!(shelf.take(broken()).trouble, None);
        assert!(shelf.trouble().is_some());
        assert!(shelf.take(Ok(Event::Apply(pod("a", 1)))).all);
        assert_eq!(shelf.trouble(), None);
    }
}
