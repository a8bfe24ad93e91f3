//! Where a setting's value comes from: the layers between what was set for one thing and Kafka's default.

use protocol::Str;
use protocol::messages::describe_configs::DescribeConfigsSynonym;

use crate::config::TopicConfig;
use crate::config::live::Overrides;
use crate::config::topic_keys::TopicKey;
use crate::context::Context;
use crate::metadata::record::SettingsOf;
use crate::topics::Settings;

// Where a value comes from, in Kafka's numbers.
const OF_TOPIC: i8 = 1;
const OF_BROKER: i8 = 2;
pub(super) const OF_ALL_BROKERS: i8 = 3;
const OF_STATIC: i8 = 4;
const OF_DEFAULT: i8 = 5;
pub(super) const OF_CLIENT_METRICS: i8 = 7;
pub(super) const OF_GROUP: i8 = 8;

/// Where the broker-wide value of a setting comes from, nearest first. The last is Kafka's default.
pub(super) struct Layers {
    /// Set by clients for this broker.
    here: Overrides,
    /// Set by clients for all brokers.
    everywhere: Overrides,
}

impl Layers {
    pub(super) fn of(ctx: &Context) -> Layers {
        let controller = &ctx.broker.controller;
        let set = |name: &str| controller.settings_of(SettingsOf::Broker, name);
        Layers { here: set(&controller.own_name()), everywhere: set("") }
    }

    /// Every layer that has a value for `name`, with its value.
    pub(super) fn synonyms(
        &self,
        ctx: &Context,
        name: &'static str,
        default: Option<String>,
    ) -> Vec<DescribeConfigsSynonym> {
        let config = &ctx.broker.config;
        // Nobody has default addresses or a default id: the command line or the file always says.
        let always_given =
            matches!(name, "advertised.listeners" | "listeners" | "node.id" | "broker.id" | "log.dirs");
        let is_given = always_given || config.given.contains_key(name);
        let mut synonyms = Vec::new();
        let mut add = |value: Option<String>, source: i8| {
            let (name, value) = (Str::from_static(name), value.map(Str::from));
            synonyms.push(DescribeConfigsSynonym { name, value, source });
        };
        for (layer, source) in [(&self.here, OF_BROKER), (&self.everywhere, OF_ALL_BROKERS)] {
            if let Some(value) = layer.get(name) {
                add(Some(value.clone()), source);
            }
        }
        if is_given {
            add(config.printed(name).map(|(value, _)| value), OF_STATIC);
        }
        if !always_given {
            add(default, OF_DEFAULT);
        }
        synonyms
    }

    /// The same for a setting of a topic, what was set for the topic in front.
    pub(super) fn synonyms_of_topic(
        &self,
        ctx: &Context,
        key: &TopicKey,
        settings: &Settings,
    ) -> Vec<DescribeConfigsSynonym> {
        let mut synonyms = Vec::new();
        if settings.own.contains_key(key.name) {
            let (name, value) = (Str::from_static(key.name), Some(Str::from((key.get)(&settings.effective))));
            synonyms.push(DescribeConfigsSynonym { name, value, source: OF_TOPIC });
        }
        if let Some(name) = key.broker_name {
            synonyms.extend(self.synonyms(ctx, name, Some((key.get)(&TopicConfig::default()))));
        }
        synonyms
    }
}

/// Where the value that counts comes from.
pub(super) fn source(synonyms: &[DescribeConfigsSynonym]) -> i8 {
    synonyms.first().map_or(OF_DEFAULT, |nearest| nearest.source)
}
