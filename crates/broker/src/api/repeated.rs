//! What a request names more than once.
//!
//! Requests are as long as clients like: names are looked up and not searched for, and where an answer is much longer
//! than what asks for it, everything is answered once.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

/// How often each thing is named.
pub(super) struct Named<K>(BTreeMap<K, usize>);

impl<K: Ord> FromIterator<K> for Named<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Named<K> {
        let mut times = BTreeMap::new();
        keys.into_iter().for_each(|key| *times.entry(key).or_default() += 1);
        Named(times)
    }
}

impl<K: Ord> Named<K> {
    /// Whether it is named more than once.
    pub(super) fn is_repeated<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.get(key).is_some_and(|times| *times > 1)
    }
}

/// Keeps what is named first under each key.
pub(super) fn keep_first<T, K: Ord>(things: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = BTreeSet::new();
    things.retain(|thing| seen.insert(key(thing)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_twice_is_found_and_left_out() {
        let named: Named<&str> = ["a", "b", "a"].into_iter().collect();
        assert!(named.is_repeated("a") && !named.is_repeated("b") && !named.is_repeated("c"));
        let mut things = vec![("a", 1), ("b", 2), ("a", 3)];
        keep_first(&mut things, |thing| thing.0);
        assert_eq!(things, [("a", 1), ("b", 2)]);
    }
}
