//! What is ordered in time: generations of an intent, releases of the broker, feature levels of a cluster.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Counts the intents of one cluster, from 1. Receivers refuse one that is older than what they already have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub i64);

impl Generation {
    /// Before the first intent: no intent at all.
    pub const NONE: Generation = Generation(0);

    /// The generation of a cluster's first intent.
    pub const FIRST: Generation = Generation(1);

    /// The generation of the intent that replaces this one.
    #[must_use]
    pub fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A release of the broker binary, for instance `0.0.0`; `local` maps it to a file, the operator to an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Release(pub String);

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The level at which a cluster writes its metadata. It rises only after every broker runs a release that knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureLevel(pub u32);
