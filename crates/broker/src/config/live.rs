//! Settings that change while the broker runs.
//!
//! At the bottom lies what the process was told; over it what clients set for all brokers, over that what they set for
//! this one. Only settings that are read anew at each use can be changed like that; for the others a change would be
//! stored and have no effect, so it is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Config, ConfigError, keys, topic_keys};

/// What clients set, by name.
pub type Overrides = BTreeMap<String, String>;

/// What can be changed besides the defaults of topic settings.
const OWN: [&str; 2] = ["log.cleaner.backoff.ms", "penstock.cleaner.cpu.percent"];

/// Whether a broker setting can be changed while the broker runs.
#[must_use]
pub fn is_alterable(name: &str) -> bool {
    OWN.contains(&name) || (topic_keys::find_by_broker_name(name).is_some() && !keys::is_own(name))
}

/// The configuration in force.
pub struct Live {
    told: Config,
    now: RwLock<Arc<Config>>,
}

impl Live {
    /// What the process was told, and nothing over it.
    #[must_use]
    pub fn new(told: Config) -> Live {
        Live { now: RwLock::new(Arc::new(told.clone())), told }
    }

    /// What is in force at this moment.
    #[must_use]
    pub fn now(&self) -> Arc<Config> {
        // One value is replaced by another: a panic elsewhere cannot leave half of it.
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What would be in force with these layers over what the process was told.
    ///
    /// # Errors
    /// Names the first setting that is unknown, cannot be changed, or has a value that does not fit.
    pub fn with(&self, everywhere: &Overrides, here: &Overrides) -> Result<Config, ConfigError> {
        let mut config = self.told.clone();
        for (name, value) in everywhere.iter().chain(here) {
            let key = keys::find(name).ok_or_else(|| ConfigError::Unknown(name.clone()))?;
            if !is_alterable(name) {
                return Err(ConfigError::ReadAtStart(name.clone()));
            }
            key.set(&mut config, value).map_err(|reason| ConfigError::Invalid {
                key: name.clone(),
                value: value.clone(),
                reason,
            })?;
        }
        Ok(config)
    }

    /// Puts another configuration in force.
    pub fn replace(&self, config: Config) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Overrides {
        Overrides::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_is_set_for_one_broker_lies_over_what_is_set_for_all() {
        let live = Live::new(Config::default());
        let (all, own) = (set("log.retention.ms", "5"), set("log.retention.ms", "7"));
        assert_eq!(live.with(&all, &Overrides::new()).expect("valid").topic_defaults.retention_ms, 5);
        assert_eq!(live.with(&all, &own).expect("valid").topic_defaults.retention_ms, 7);
        assert_eq!(live.now().topic_defaults.retention_ms, 604_800_000, "nothing was put in force");
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        let live = Live::new(Config::default());
        let refused = |name, value| live.with(&set(name, value), &Overrides::new()).expect_err("refused");
        assert_eq!(refused("broker.id", "7"), ConfigError::ReadAtStart("broker.id".to_owned()));
        assert_eq!(refused("no.such", "7"), ConfigError::Unknown("no.such".to_owned()));
        assert!(matches!(refused("message.max.bytes", "x"), ConfigError::Invalid { .. }));
    }
}
