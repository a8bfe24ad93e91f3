//! The process edge that reads the clocks; everything else gets `now_ms` as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, by the wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the wall clock")]
pub fn now_ms() -> i64 {
    // Before 1970 only if the machine's clock is nonsense; 0 is as good an answer as any then.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
