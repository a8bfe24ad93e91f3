//! Who may use how much: rates of bytes and of time, for users and client ids.
//!
//! A request beyond a rate is served, and its connection then rests for as long as the rate takes to catch up; the
//! answer says so (`throttle_time_ms`), so that a well-behaved client rests by itself. Rules are metadata
//! ([`Entity::key`] names them there) and are read here at each change. Without rules nothing is looked up or counted.
//!
//! Kafka's order of precedence decides which rule counts, for each kind of rate by itself: user and client id before
//! user before client id, and a name before a default. What a rule for one user grants is shared by all its
//! connections; a default grants each user, or each client id, a rate of its own.

mod bucket;
pub mod entity;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::Metrics;
use bucket::Bucket;
pub use entity::{Entity, EntityError};

/// The longest rest after one request for bytes. Clients take thirty seconds without an answer for a lost connection,
/// and a request that was sent before the rest was announced must still be answered within them. What is not rested off
/// stays due.
const LONGEST_REST: Duration = Duration::from_secs(20);

/// The same for time: Kafka bounds it by the length of one window, so that heartbeats still get through.
const LONGEST_REST_FOR_TIME: Duration = Duration::from_secs(1);

/// So many users and client ids are counted. Client ids are whatever clients say; those beyond share one count.
const COUNTED_MAX: usize = 10_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rate {
    /// Bytes of records produced in a second.
    Produced,
    /// Bytes of records fetched in a second.
    Fetched,
    /// Time of the broker's threads, in percent of one.
    Time,
}

impl Rate {
    /// All of them.
    pub const ALL: [Rate; 3] = [Rate::Produced, Rate::Fetched, Rate::Time];

    /// Kafka's name for the setting.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Rate::Produced => "producer_byte_rate",
            Rate::Fetched => "consumer_byte_rate",
            Rate::Time => "request_percentage",
        }
    }

    /// The rate that a setting is about.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Rate> {
        Rate::ALL.into_iter().find(|rate| rate.key() == key)
    }

    /// What a setting's value grants in a second: bytes, or seconds.
    fn per_second(self, value: f64) -> f64 {
        if self == Rate::Time { value / 100.0 } else { value }
    }
}

/// Quotas as metadata keeps them: values by name, by entity.
pub type Stored = BTreeMap<String, BTreeMap<String, String>>;

type Rules = HashMap<Entity, HashMap<Rate, f64>>;

/// Whose use is counted together: what a rule is for, with names in place of defaults. `None` is everybody beyond
/// [`COUNTED_MAX`].
type Counted = Option<Entity>;

/// Rules and use.
pub struct Quotas {
    /// Whether there is any rule: the common case is that there is none, and it costs one load.
    any: AtomicBool,
    rules: RwLock<Arc<Rules>>,
    used: Mutex<HashMap<(Rate, Counted), Bucket>>,
    metrics: Arc<Metrics>,
}

impl Quotas {
    /// No rules.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Quotas {
        Quotas { any: AtomicBool::new(false), rules: RwLock::default(), used: Mutex::default(), metrics }
    }

    /// Takes over the rules that `stored` returns. It is called under the lock, so that of two changes at the same time
    /// the later one wins here as well.
    pub fn refresh(&self, stored: impl FnOnce() -> Stored) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Rules::new();
        for (key, values) in stored() {
            let Some(entity) = Entity::from_key(&key) else {
                tracing::error!(key, "a stored quota is for somebody whom this version does not understand");
                continue;
            };
            let rates = values.iter().filter_map(|(name, value)| {
                let rate = Rate::from_key(name)?;
                Some((rate, rate.per_second(value.parse().ok()?)))
            });
            new.insert(entity, rates.collect());
        }
        self.any.store(!new.is_empty(), Ordering::Release);
        *rules = Arc::new(new);
    }

    /// Whether anybody has a quota.
    #[must_use]
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// The rule that counts for this client, as a rate in a second and whose use it limits.
    fn rule(&self, rate: Rate, user: &str, client_id: &str) -> Option<(f64, Entity)> {
        if !self.any() {
            return None;
        }
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        let named = |name: &str| Some(Some(name.to_owned()));
        let (this_user, this_client) = (named(user), named(client_id));
        let any = Some(None);
        let order = [
            (&this_user, &this_client),
            (&this_user, &any),
            (&this_user, &None),
            (&any, &this_client),
            (&any, &any),
            (&any, &None),
            (&None, &this_client),
            (&None, &any),
        ];
        order.into_iter().find_map(|(of_user, of_client)| {
            let entity = Entity { user: of_user.clone(), client_id: of_client.clone() };
            let per_second = *rules.get(&entity)?.get(&rate)?;
            let counted = Entity {
                user: entity.user.and_then(|_| this_user.clone()),
                client_id: entity.client_id.and_then(|_| this_client.clone()),
            };
            Some((per_second, counted))
        })
    }

    /// Counts what a client used; returns how long its connection should rest.
    pub fn charge(&self, rate: Rate, user: &str, client_id: &str, amount: f64, now: Instant) -> Duration {
        let Some((per_second, counted)) = self.rule(rate, user, client_id) else { return Duration::ZERO };
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (rate, Some(counted));
        if used.len() >= COUNTED_MAX && !used.contains_key(&key) {
            used.retain(|_, bucket| !bucket.is_full(now));
            if used.len() >= COUNTED_MAX {
                key.1 = None;
            }
        }
        let debt = used.entry(key).or_insert_with(|| Bucket::full(now)).charge(amount, per_second, now);
        drop(used);
        let longest = if rate == Rate::Time { LONGEST_REST_FOR_TIME } else { LONGEST_REST };
        let rest = debt.min(longest);
        if !rest.is_zero() {
            self.metrics.throttled.with_label_values(&[rate.key()]).inc();
        }
        rest
    }

    /// How many bytes a fetch may return: a second's worth, none while the client is ahead of its rate, and `None` if
    /// nothing limits it.
    pub fn fetchable(&self, user: &str, client_id: &str, now: Instant) -> Option<usize> {
        let (per_second, counted) = self.rule(Rate::Fetched, user, client_id)?;
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = used.get(&(Rate::Fetched, Some(counted)));
        let in_debt = bucket.is_some_and(|bucket| !bucket.debt(now).is_zero());
        // A float beyond usize becomes its largest value.
        Some(if in_debt { 0 } else { per_second as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule<'a> = (&'a [(&'a str, Option<&'a str>)], &'a str);

    fn quotas(rate: Rate, rules: &[Rule<'_>]) -> Quotas {
        let quotas = Quotas::new(Arc::new(Metrics::new()));
        let stored = rules.iter().map(|(parts, value)| {
            let entity = Entity::new(parts.iter().copied()).expect("somebody");
            (entity.key(), BTreeMap::from([(rate.key().to_owned(), (*value).to_owned())]))
        });
        quotas.refresh(|| stored.collect());
        quotas
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn without_a_rule_nobody_rests() {
        let quotas = quotas(Rate::Produced, &[]);
        assert_eq!(quotas.charge(Rate::Produced, "u", "c", 1e12, later()), Duration::ZERO);
        assert_eq!(quotas.fetchable("u", "c", later()), None);
    }

    #[test]
    fn names_count_before_defaults_and_users_before_client_ids() {
        let quotas = quotas(
            Rate::Produced,
            &[
                (&[("client-id", None)], "1000"),
                (&[("client-id", Some("c"))], "2000"),
                (&[("user", None)], "4000"),
                (&[("user", Some("u")), ("client-id", Some("c"))], "8000"),
            ],
        );
        let rate = |user, client| quotas.rule(Rate::Produced, user, client).map(|(rate, _)| rate);
        assert_eq!(rate("u", "c"), Some(8000.0));
        assert_eq!(rate("u", "d"), Some(4000.0), "the default of users before the name of a client");
        assert_eq!(quotas.rule(Rate::Fetched, "u", "c"), None, "each rate has rules of its own");
    }

    #[test]
    fn a_default_grants_everybody_a_rate_of_its_own() {
        let quotas = quotas(Rate::Produced, &[(&[("client-id", None)], "1000")]);
        let now = later();
        let charge = |client| quotas.charge(Rate::Produced, "u", client, 3_000.0, now);
        assert_eq!(charge("a"), Duration::from_secs(2));
        assert_eq!(charge("b"), Duration::from_secs(2));
        assert_eq!(charge("a"), Duration::from_secs(5));
        let rests: Vec<_> = (0..10).map(|_| charge("a")).collect();
        assert_eq!((rests[0], rests[9]), (Duration::from_secs(8), LONGEST_REST));
    }

    #[test]
    fn who_is_ahead_fetches_nothing() {
        let quotas = quotas(Rate::Fetched, &[(&[("user", Some("u"))], "1000")]);
        let now = later();
        assert_eq!(quotas.fetchable("u", "c", now), Some(1_000));
        quotas.charge(Rate::Fetched, "u", "c", 3_000.0, now);
        assert_eq!(quotas.fetchable("u", "other", now), Some(0), "the user's connections share");
        assert_eq!(quotas.fetchable("v", "c", now), None);
    }

    #[test]
    fn made_up_client_ids_cost_bounded_memory() {
        let quotas = quotas(Rate::Produced, &[(&[("client-id", None)], "1")]);
        let now = later();
        for number in 0..COUNTED_MAX + 50 {
            quotas.charge(Rate::Produced, "u", &number.to_string(), 1.0, now);
        }
        assert_eq!(quotas.used.lock().expect("no panic").len(), COUNTED_MAX + 1);
    }
}
