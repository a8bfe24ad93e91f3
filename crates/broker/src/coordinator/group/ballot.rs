//! Which protocols the members of a group have in common, and which of them they elect.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Str;

use super::member::{Member, Offer};

/// How many members offer each protocol.
#[derive(Clone, Debug, Default)]
pub(super) struct Ballot {
    offered: BTreeMap<Str, usize>,
}

impl Ballot {
    pub(super) fn add(&mut self, offers: &[Offer]) {
        for name in names(offers) {
            *self.offered.entry(name.clone()).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, offers: &[Offer]) {
        for name in names(offers) {
            if let Some(count) = self.offered.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.offered.remove(name);
                }
            }
        }
    }

    /// Whether one of these is a protocol that all `members` speak.
    pub(super) fn has_common(&self, offers: &[Offer], members: usize) -> bool {
        offers.iter().any(|offer| self.offered.get(&offer.name) == Some(&members))
    }

    /// The protocol that most members prefer among those that all speak. Between equals the first by name wins, so
    /// that the same members always elect the same.
    pub(super) fn elect<'a>(&self, members: impl ExactSizeIterator<Item = &'a Member>) -> Option<Str> {
        let everybody = members.len();
        let candidates: BTreeSet<&str> = self
            .offered
            .iter()
            .filter(|(_, count)| **count == everybody)
            .map(|(name, _)| name.as_str())
            .collect();
        let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
        for name in members.filter_map(|member| member.vote(&candidates)) {
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.values().max().copied()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }
}

/// Each name once, even if a member names a protocol twice.
fn names(offers: &[Offer]) -> BTreeSet<&Str> {
    offers.iter().map(|offer| &offer.name).collect()
}
