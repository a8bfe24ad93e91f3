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
use crate::config::topic::{TOPIC_KEYS, TopicKey};
use crate::config::{KEYS, Kind};
use crate::context::Context;
use crate::metadata::record::SettingsOf;
use crate::topics::Settings;

pub(super) const API: Api = Api::new(ApiKey::DescribeConfigs, 1, 4);

// Where a value comes from, in Kafka's numbers.
const OF_TOPIC: i8 = 1;
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
            Ok(TOPIC_KEYS.iter().map(|key| of_topic(ctx, key, &settings, synonyms)).collect())
        }
        BROKER if name.is_empty() => Ok(Vec::new()),
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

fn of_topic(
    ctx: &Context,
    key: &TopicKey,
    settings: &Settings,
    with_synonyms: bool,
) -> DescribeConfigsResourceResult {
    let config = &ctx.broker.config;
    let is_own = settings.own.contains_key(key.name);
    let is_static = key.broker_name.is_some_and(|name| config.given.contains_key(name));
    let mut synonyms = Vec::new();
    let mut add = |name: &'static str, value: String, source: i8| {
        synonyms.push(DescribeConfigsSynonym {
            name: Str::from_static(name),
            value: Some(Str::from(value)),
            source,
        });
    };
    if with_synonyms {
        if is_own {
            add(key.name, (key.get)(&settings.effective), OF_TOPIC);
        }
        if let Some(name) = key.broker_name {
            if is_static {
                add(name, (key.get)(&config.topic_defaults), OF_STATIC);
            }
            add(name, (key.get)(&crate::config::TopicConfig::default()), OF_DEFAULT);
        }
    }
    DescribeConfigsResourceResult {
        name: Str::from_static(key.name),
        value: Some(Str::from((key.get)(&settings.effective))),
        config_source: match (is_own, is_static) {
            (true, _) => OF_TOPIC,
            (false, true) => OF_STATIC,
            (false, false) => OF_DEFAULT,
        },
        synonyms,
        config_type: number(key.kind),
        ..DescribeConfigsResourceResult::default()
    }
}

fn of_broker(ctx: &Context, with_synonyms: bool) -> Configs {
    let config = &ctx.broker.config;
    let make = |name: &'static str, kind: Kind, value: Option<String>| {
        // Nobody has default addresses or a default id: the command line or the file always says.
        let always_given =
            matches!(name, "advertised.listeners" | "listeners" | "node.id" | "broker.id" | "log.dirs");
        let is_given = always_given || config.given.contains_key(name);
        let source = if is_given { OF_STATIC } else { OF_DEFAULT };
        let value = value.map(Str::from);
        let synonym = DescribeConfigsSynonym { name: Str::from_static(name), value: value.clone(), source };
        DescribeConfigsResourceResult {
            name: Str::from_static(name),
            value,
            // Settings of the process change with its configuration file.
            read_only: true,
            config_source: source,
            synonyms: if with_synonyms { vec![synonym] } else { Vec::new() },
            config_type: number(kind),
            ..DescribeConfigsResourceResult::default()
        }
    };
    let mut all: Configs = KEYS.iter().map(|key| make(key.name, key.kind, (key.get)(config))).collect();
    for key in TOPIC_KEYS {
        if let Some(name) = key.broker_name
            && !KEYS.iter().any(|key| key.name == name)
        {
            all.push(make(name, key.kind, Some((key.get)(&config.topic_defaults))));
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
