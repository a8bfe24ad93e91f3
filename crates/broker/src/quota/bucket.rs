//! How far somebody is ahead of its rate.

use std::time::Duration;

use tokio::time::Instant;

/// Unused rate is kept for so long: a client that was quiet may be this much ahead. Kafka averages over eleven seconds;
/// one is enough to let a batch through at once and short enough that a rate is a rate.
const CREDIT: Duration = Duration::from_secs(1);

/// What somebody has used, as the moment from which on its rate covers it all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    even_at: Instant,
}

impl Bucket {
    /// Of somebody who used nothing lately.
    pub(super) fn full(now: Instant) -> Bucket {
        Bucket { even_at: now.checked_sub(CREDIT).unwrap_or(now) }
    }

    /// Uses `amount` of a rate that gives `per_second`; returns how long it takes to be even again.
    pub(super) fn charge(&mut self, amount: f64, per_second: f64, now: Instant) -> Duration {
        let cost = Duration::try_from_secs_f64(amount / per_second).unwrap_or(Duration::MAX);
        let from = self.even_at.max(Bucket::full(now).even_at);
        // An amount that takes longer than time itself is as good as a year.
        self.even_at = from.checked_add(cost).unwrap_or(now + Duration::from_secs(31_536_000));
        self.debt(now)
    }

    /// How long it takes to be even.
    pub(super) fn debt(&self, now: Instant) -> Duration {
        self.even_at.saturating_duration_since(now)
    }

    /// Whether forgetting it changes nothing.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.even_at <= Bucket::full(now).even_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_of_rate_is_free_and_the_rest_is_waited_for() {
        let now = Instant::now() + Duration::from_secs(60);
        let mut bucket = Bucket::full(now);
        assert_eq!(bucket.charge(1_000.0, 1_000.0, now), Duration::ZERO);
        assert_eq!(bucket.charge(2_500.0, 1_000.0, now), Duration::from_millis(2_500));
        let later = now + Duration::from_secs(2);
        assert_eq!(bucket.debt(later), Duration::from_millis(500));
        assert_eq!(bucket.charge(500.0, 1_000.0, later), Duration::from_secs(1));
    }

    #[test]
    fn silence_earns_no_more_than_the_credit() {
        let now = Instant::now() + Duration::from_secs(60);
        let mut bucket = Bucket::full(now);
        bucket.charge(500.0, 1_000.0, now);
        assert!(!bucket.is_full(now));
        let later = now + Duration::from_secs(3_600);
        assert!(bucket.is_full(later));
        assert_eq!(bucket.charge(3_000.0, 1_000.0, later), Duration::from_secs(2));
    }
}
