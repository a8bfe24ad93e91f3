//! Where time comes from. Everything that decides is told the time; only loops at the edge hold a [`Clock`].

use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

use model::Timestamp;

/// A source of time, and the way to wait for it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Returns at that point in time, or at once when it has passed. May return early: whoever waits looks again.
    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl System {
    /// Now, for those who need no waiting.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place of the plane that reads the real clock")]
    pub fn now() -> Timestamp {
        // A clock before 1970 reads as 1970: nothing of ours is that old, and no caller could do better.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Clock for System {
    fn now(&self) -> Timestamp {
        System::now()
    }

    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(at.since(System::now()))
    }
}
