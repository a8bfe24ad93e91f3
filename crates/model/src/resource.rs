//! Resources: add-ons as their owner sees them.

use serde::{Deserialize, Serialize};

/// Where a resource is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was accepted and cannot be used yet. Left when its cluster is ready, or when that turns out impossible.
    Provisioning,
    /// Clients can use it. Left when brokers fail, when it is changed so that they must, or on removal.
    Ready,
    /// It was ready and works less well than promised, or not at all; the agent heals it. Left when that is done.
    Degraded,
    /// It is being removed with its data; it cannot be used any more. Left when everything is gone.
    Deprovisioning,
    /// Everything is gone; only the record stays. Final.
    Gone,
    /// It could not be provisioned and needs a person. Left on removal, or when its cluster becomes ready after all.
    Failed,
}

impl State {
    /// Whether the owner waits for something to finish.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        matches!(self, State::Provisioning | State::Deprovisioning)
    }

    /// Whether its topics and credentials can be used and changed.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, State::Ready | State::Degraded)
    }
}
