//! A member of a group: who it is, what it can speak, what it waits for.

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol::Str;

use crate::coordinator::machine::Waiter;

/// A way of sharing work that a member offers, with what the leader must know to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Name of the assignor.
    pub name: Str,
    /// What the member tells the leader; opaque to us except for its list of topics.
    pub metadata: Bytes,
}

/// The program behind a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// What it calls itself.
    pub id: Str,
    /// Where it connects from, as Kafka prints it (`/127.0.0.1`).
    pub host: Str,
}

/// What a member costs besides its strings and bytes: its entry in the maps and a few counted references.
const MEMBER_OVERHEAD_BYTES: usize = 400;

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) instance_id: Option<Str>,
    pub(super) client: Client,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    /// In order of preference.
    pub(super) offers: Vec<Offer>,
    pub(super) assignment: Bytes,
    pub(super) join_waiter: Option<Waiter>,
    pub(super) sync_waiter: Option<Waiter>,
    /// It has never been part of a generation: nobody knows whether its client still waits for the answer to its
    /// JoinGroup, so its time runs even while it waits.
    pub(super) is_new: bool,
    /// When its session ends, by the steady clock.
    pub(super) expires_at_ms: u64,
}

impl Member {
    /// What it tells the leader under the protocol of that name.
    pub(super) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.offers.iter().find(|offer| offer.name == *protocol).map(|offer| &offer.metadata)
    }

    /// Its most preferred protocol among those that everybody speaks.
    pub(super) fn vote<'a>(&'a self, candidates: &BTreeSet<&str>) -> Option<&'a Str> {
        self.offers.iter().map(|offer| &offer.name).find(|name| candidates.contains(name.as_str()))
    }

    /// Whether its session goes on by itself: it waits for the group, not the group for it.
    pub(super) fn waits_for_the_group(&self) -> bool {
        !self.is_new && (self.join_waiter.is_some() || self.sync_waiter.is_some())
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let offers: usize = self.offers.iter().map(|offer| offer.name.len() + offer.metadata.len()).sum();
        let instance_id = self.instance_id.as_ref().map_or(0, |id| id.len());
        // Its name is also in its member id, and its instance id leads to that.
        let names = 2 * (self.client.id.len() + instance_id) + self.client.host.len();
        MEMBER_OVERHEAD_BYTES + names + offers + self.assignment.len()
    }
}
