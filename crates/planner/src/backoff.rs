//! The one way in which pauses grow.

use std::time::Duration;

/// `first`, doubled so many times, but never more than `longest`.
#[must_use]
pub fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    // A millisecond doubled this often is half an hour, longer than any pause of ours; more would overflow.
    const ENOUGH: u32 = 21;
    first.saturating_mul(1 << times.min(ENOUGH)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_up_to_its_limit_and_overflows_nothing() {
        let second = Duration::from_secs(1);
        let pauses = [0, 1, 5, 6, u32::MAX].map(|times| doubled(second, times, 60 * second).as_secs());
        assert_eq!(pauses, [1, 2, 32, 60, 60]);
    }
}
