//! The only place of the benches that reads the clock or sleeps.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, for measuring spans.
#[expect(clippy::disallowed_methods, reason = "measuring real time is what a bench is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sleeps on this thread.
#[expect(clippy::disallowed_methods, reason = "a bench has threads of its own and no runtime to block")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Milliseconds since the Unix epoch, for the timestamps of records.
#[expect(clippy::disallowed_methods, reason = "records that are produced now carry the time of now")]
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
