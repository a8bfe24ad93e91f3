//! DescribeConfigs, key 32: what is in force for a topic or a broker, and where it comes from.
//!
//! Version 1 adds where a value comes from, 3 the type and a description. What cannot be found is an error of that
//! resource alone, and one that is named twice is described once.

use protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use super::config_layers::{Layers, OF_ALL_BROKERS, OF_CLIENT_METRICS, OF_GROUP, source};
use super::config_resources::{BROKER, CLIENT_METRICS, GROUP, TOPIC};
use super::repeated::keep_first;
use crate::config::topic_keys::{TOPIC_KEYS, TopicKey};
use crate::config::{self, live};
use crate::config::{Config, KEYS, Kind};
use crate::context::Context;
use crate::metadata::record::SettingsOf;
use crate::topics::Settings;

pub(super) const API: Api = Api::new(ApiKey::DescribeConfigs, 1, 4);

pub(super) async fn handle(ctx: &Context, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let with = Extras { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let mut resources = request.resources;
    keep_first(&mut resources, |resource| (resource.resource_type, resource.resource_name.clone()));
    let results = resources.into_iter().map(|resource| {
        let described = describe(ctx, &resource, with);
        let DescribeConfigsResource { resource_type, resource_name, configuration_keys } = resource;
        let mut result = DescribeConfigsResult { resource_type, resource_name, ..Default::default() };
        match described {
            Ok(mut configs) => {
                // An empty list asks for everything, as none does.
                if let Some(keys) = configuration_keys.filter(|keys| !keys.is_empty()) {
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

/// What a client may ask for besides values.
#[derive(Clone, Copy)]
struct Extras {
    synonyms: bool,
    documentation: bool,
}

impl Extras {
    fn documentation(self, name: &str) -> Option<Str> {
        config::doc(name).filter(|_| self.documentation).map(|doc| Str::from(doc.whole()))
    }
}

type Configs = Vec<DescribeConfigsResourceResult>;

fn describe(
    ctx: &Context,
    resource: &DescribeConfigsResource,
    with: Extras,
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
            Ok(TOPIC_KEYS.iter().map(|key| of_topic(ctx, key, &settings, &layers, with)).collect())
        }
        BROKER if name.is_empty() => Ok(of_other(ctx, SettingsOf::Broker, "", OF_ALL_BROKERS)),
        BROKER if name == broker.config.node_id.to_string() => Ok(of_broker(ctx, with)),
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

fn of_topic(
    ctx: &Context,
    key: &TopicKey,
    settings: &Settings,
    layers: &Layers,
    with: Extras,
) -> DescribeConfigsResourceResult {
    let synonyms = layers.synonyms_of_topic(ctx, key, settings);
    DescribeConfigsResourceResult {
        name: Str::from_static(key.name),
        value: Some(Str::from((key.get)(&settings.effective))),
        config_source: source(&synonyms),
        synonyms: if with.synonyms { synonyms } else { Vec::new() },
        config_type: number(key.kind),
        documentation: with.documentation(key.name),
        ..DescribeConfigsResourceResult::default()
    }
}

fn of_broker(ctx: &Context, with: Extras) -> Configs {
    let (in_force, default) = (ctx.broker.controller.config(), Config::default());
    let layers = Layers::of(ctx);
    let of = |name: &'static str, kind: Kind, get: &dyn Fn(&Config) -> Option<String>| {
        let synonyms = layers.synonyms(ctx, name, get(&default));
        DescribeConfigsResourceResult {
            name: Str::from_static(name),
            value: get(&in_force).map(Str::from),
            read_only: !live::is_alterable(name),
            config_source: source(&synonyms),
            synonyms: if with.synonyms { synonyms } else { Vec::new() },
            config_type: number(kind),
            documentation: with.documentation(name),
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
