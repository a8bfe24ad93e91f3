//! Settings of what is no topic: of brokers, which take effect at once, and of what others look up here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ChangeError, Controller};
use crate::config::Config;
use crate::config::live::Overrides;
use crate::metadata::image::Image;
use crate::metadata::record::{Record, SettingsOf};

/// Things of one kind that may have settings: quotas of users and client ids, groups, telemetry subscriptions. Each
/// is a few hundred bytes in memory and in the journal; ten thousand users with quotas are more than one broker serves.
const WITH_SETTINGS_MAX: usize = 10_000;

/// Bytes of all settings of one such thing, and of its name. The longest list in use, a subscription to all metrics that
/// clients have, is a tenth of it.
const SETTINGS_MAX_BYTES: usize = 16 * 1024;

impl Controller {
    /// The configuration in force: what the process was told, and what clients changed since.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.live.now()
    }

    /// Under which name this broker's own settings are kept.
    #[must_use]
    pub fn own_name(&self) -> String {
        self.live.now().node_id.to_string()
    }

    pub(super) fn set_for(&self, image: &Image, name: &str) -> Overrides {
        image.settings.get(&(SettingsOf::Broker, name.to_owned())).cloned().unwrap_or_default()
    }

    /// Replaces what is set for this broker, or for all of them (`name` empty), by what `change` makes of it, and lets
    /// every topic without settings of its own follow.
    ///
    /// # Errors
    /// Says what forbids it; nothing changed then.
    pub fn change_broker_settings<E: From<ChangeError>>(
        &self,
        name: &str,
        dry_run: bool,
        change: impl FnOnce(&Overrides, &Config) -> Result<Overrides, E>,
    ) -> Result<(), E> {
        let mut state = self.lock();
        let set = change(&self.set_for(&state.image, name), &self.live.now())?;
        let other = |name: &str| self.set_for(&state.image, name);
        let config = match name {
            "" => self.live.with(&set, &other(&self.own_name())),
            _ => self.live.with(&other(""), &set),
        };
        let config = config.map_err(ChangeError::from)?;
        if dry_run {
            return Ok(());
        }
        let record = Record::Settings { kind: SettingsOf::Broker, name: name.to_owned(), settings: set };
        self.write(&mut state, record)?;
        if config.topic_defaults != self.live.now().topic_defaults {
            for topic in self.topics.all() {
                let own = topic.settings().own.clone();
                match config.topic_defaults.with(&own) {
                    Ok(effective) => topic.set_settings(self.settings(own, effective)),
                    Err(error) => tracing::error!(topic.name = %topic.name, %error,
                        "a stored topic setting is not understood; the topic keeps the settings it has"),
                }
            }
        }
        self.live.replace(config);
        Ok(())
    }

    /// What is set for something that is no topic.
    #[must_use]
    pub fn settings_of(&self, kind: SettingsOf, name: &str) -> BTreeMap<String, String> {
        self.lock().image.settings.get(&(kind, name.to_owned())).cloned().unwrap_or_default()
    }

    /// Names of all things of a kind that have settings.
    #[must_use]
    pub fn names_with_settings(&self, kind: SettingsOf) -> Vec<String> {
        self.lock()
            .image
            .settings
            .keys()
            .filter(|(of, _)| *of == kind)
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// All things of a kind that have settings, with these.
    #[must_use]
    pub fn all_settings_of(&self, kind: SettingsOf) -> BTreeMap<String, BTreeMap<String, String>> {
        let state = self.lock();
        let of_kind = state.image.settings.iter().filter(|((of, _), _)| *of == kind);
        of_kind.map(|((_, name), settings)| (name.clone(), settings.clone())).collect()
    }

    /// Replaces what is set for something that is no topic; empty forgets it.
    ///
    /// # Errors
    /// If a bound is reached or the journal cannot be written.
    pub fn set_settings_of(
        &self,
        kind: SettingsOf,
        name: &str,
        settings: BTreeMap<String, String>,
    ) -> Result<(), ChangeError> {
        let bytes: usize = settings.iter().map(|(name, value)| name.len() + value.len()).sum();
        if name.len() + bytes > SETTINGS_MAX_BYTES {
            let text =
                format!("the settings of one resource may have {SETTINGS_MAX_BYTES} bytes, not {bytes}");
            return Err(self.refused("settings_bytes", text));
        }
        let mut state = self.lock();
        let is_new = !state.image.settings.contains_key(&(kind, name.to_owned()));
        let others = state.image.settings.keys().filter(|(of, _)| *of == kind).count();
        if is_new && !settings.is_empty() && others >= WITH_SETTINGS_MAX {
            let text =
                format!("no more than {WITH_SETTINGS_MAX} of a kind can have settings: remove some first");
            return Err(self.refused("settings", text));
        }
        self.write(&mut state, Record::Settings { kind, name: name.to_owned(), settings })
    }
}
