//! DescribeConfigs, key 32: what is in force for a topic or a broker, and where it comes from.
//!
//! Version 1 adds where a value comes from, 3 the type and a description. What cannot be found is an error of that
//! resource alone.

use protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use super::config_resources::{BROKER, CLIENT_METRICS, GROUP, TOPIC};
use crate::config::live::{self, Overrides};
use crate::config::topic::{TOPIC_KEYS, TopicKey};
use crate::config::{Config, KEYS, Kind, TopicConfig};
use crate::context::Context;
use crate::metadata::record::SettingsOf;
use crate::topics::Settings;

pub(super) const API: Api = Api::new(ApiKey::DescribeConfigs, 1, 4);

// Where a value comes from, in Kafka's numbers.
const OF_TOPIC: i8 = 1;
const OF_BROKER: i8 = 2;
const OF_ALL_BROKERS: i8 = 3;
const OF_STATIC: i8 = 4;
const OF_DEFAULT: i8 = 5;
const OF_CLIENT_METRICS: i8 = 7;
const OF_GROUP: i8 = 8;

pub(super) async fn handle(ctx: &Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let synonyms = request.include_synonyms;
    let results = request.resources.into_iter().map(|resource| {
        let described = describe(ctx, &resource, synonyms);
        let DescribeConfigsResource { resource_type, resource_name, configuration_keys } = resource;
        let mut result = DescribeConfigsResult { resource_type, resource_name, ..Default::default() };
        match described {
            Ok(mut configs) => {
                if let Some(keys) = configuration_keys {
                    configs.retain(|config| keys.contains(&config.name));
                }
                result.configs = configs;
            }
            Err((code, text)) => {
                result.error_code = code.code();
                result.error_message = Some(Str::from(text));
            }
        }
        result
    });
    DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() }
}

type Configs = Vec<DescribeConfigsResourceResult>;

fn describe(
    ctx: &Context,
    resource: &DescribeConfigsResource,
    synonyms: bool,
) -> Result<Configs, (ErrorCode, String)> {
    let broker = &ctx.broker;
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            let topic = broker
                .topics
                .by_name(name)
                .ok_or_else(|| (ErrorCode::UnknownTopicOrPartition, format!("there is no topic `{name}`")))?;
            let settings = topic.settings();
            let layers = Layers::of(ctx);
            Ok(TOPIC_KEYS.iter().map(|key| of_topic(ctx, key, &settings, &layers, synonyms)).collect())
        }
        BROKER if name.is_empty() => Ok(of_other(ctx, SettingsOf::Broker, "", OF_ALL_BROKERS)),
        BROKER if name == broker.config.node_id.to_string() => Ok(of_broker(ctx, synonyms)),
        BROKER => {
            let node = broker.config.node_id;
            Err((ErrorCode::InvalidRequest, format!("this is broker {node}; ask broker `{name}` itself")))
        }
        CLIENT_METRICS => Ok(of_other(ctx, SettingsOf::ClientMetrics, name, OF_CLIENT_METRICS)),
        GROUP => Ok(of_other(ctx, SettingsOf::Group, name, OF_GROUP)),
        other => Err((ErrorCode::InvalidRequest, format!("resource type {other} has no settings"))),
    }
}

fn number(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::String => 2,
        Kind::Int => 3,
        Kind::Short => 4,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
    }
}

/// Where the broker-wide value of a setting comes from, nearest first. The last is Kafka's default.
struct Layers {
    /// Set by clients for this broker.
    here: Overrides,
    /// Set by clients for all brokers.
    everywhere: Overrides,
}

impl Layers {
    fn of(ctx: &Context) -> Layers {
        let controller = &ctx.broker.controller;
        let set = |name: &str| controller.settings_of(SettingsOf::Broker, name);
        Layers { here: set(&controller.own_name()), everywhere: set("") }
    }

    /// Every layer that has a value for `name`, with its value.
    fn synonyms(
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
}

fn of_topic(
    ctx: &Context,
    key: &TopicKey,
    settings: &Settings,
    layers: &Layers,
    with_synonyms: bool,
) -> DescribeConfigsResourceResult {
    let value = Some(Str::from((key.get)(&settings.effective)));
    let mut synonyms = Vec::new();
    if settings.own.contains_key(key.name) {
        let (name, value) = (Str::from_static(key.name), value.clone());
        synonyms.push(DescribeConfigsSynonym { name, value, source: OF_TOPIC });
    }
    if let Some(name) = key.broker_name {
        synonyms.extend(layers.synonyms(ctx, name, Some((key.get)(&TopicConfig::default()))));
    }
    DescribeConfigsResourceResult {
        name: Str::from_static(key.name),
        value,
        config_source: synonyms.first().map_or(OF_DEFAULT, |nearest| nearest.source),
        synonyms: if with_synonyms { synonyms } else { Vec::new() },
        config_type: number(key.kind),
        ..DescribeConfigsResourceResult::default()
    }
}

fn of_broker(ctx: &Context, with_synonyms: bool) -> Configs {
    let (in_force, default) = (ctx.broker.controller.config(), Config::default());
    let layers = Layers::of(ctx);
    let of = |name: &'static str, kind: Kind, get: &dyn Fn(&Config) -> Option<String>| {
        let synonyms = layers.synonyms(ctx, name, get(&default));
        DescribeConfigsResourceResult {
            name: Str::from_static(name),
            value: get(&in_force).map(Str::from),
            read_only: !live::is_alterable(name),
            config_source: synonyms.first().map_or(OF_DEFAULT, |nearest| nearest.source),
            synonyms: if with_synonyms { synonyms } else { Vec::new() },
            config_type: number(kind),
            ..DescribeConfigsResourceResult::default()
        }
    };
    let mut all: Configs = KEYS.iter().map(|key| of(key.name, key.kind, &key.get)).collect();
    for key in TOPIC_KEYS {
        if let Some(name) = key.broker_name
            && !KEYS.iter().any(|key| key.name == name)
        {
            all.push(of(name, key.kind, &|config| Some((key.get)(&config.topic_defaults))));
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn of_other(ctx: &Context, kind: SettingsOf, name: &str, source: i8) -> Configs {
    let settings = ctx.broker.controller.settings_of(kind, name);
    let config = |(name, value): (String, String)| DescribeConfigsResourceResult {
        name: Str::from(name),
        value: Some(Str::from(value)),
        config_source: source,
        config_type: number(Kind::String),
        ..DescribeConfigsResourceResult::default()
    };
    settings.into_iter().map(config).collect()
}
