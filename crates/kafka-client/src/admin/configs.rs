//! Settings of topics and brokers.

use protocol::Str;
use protocol::messages::describe_configs::DescribeConfigsResource;
use protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use crate::admin::Admin;
use crate::error::{Error, Refusal};

/// What has settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A topic by name.
    Topic(String),
    /// A broker by id.
    Broker(i32),
    /// All brokers that do not say otherwise.
    AllBrokers,
}

impl Resource {
    /// Kafka's number and name for it.
    fn on_the_wire(&self) -> (i8, Str) {
        match self {
            Resource::Topic(name) => (2, Str::from(name)),
            Resource::Broker(id) => (4, Str::from(id.to_string())),
            Resource::AllBrokers => (4, Str::default()),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Resource::Topic(name) => format!("topic {name}"),
            Resource::Broker(id) => format!("broker {id}"),
            Resource::AllBrokers => "all brokers".into(),
        }
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set for the topic itself.
    Topic,
    /// Set for one broker at run time.
    Broker,
    /// Set for all brokers at run time.
    AllBrokers,
    /// In a broker's configuration file.
    File,
    /// What holds when nobody says anything.
    Default,
    /// Something newer than this client.
    Other(i8),
}

impl From<i8> for ConfigSource {
    fn from(source: i8) -> ConfigSource {
        match source {
            1 => ConfigSource::Topic,
            2 => ConfigSource::Broker,
            3 => ConfigSource::AllBrokers,
            4 => ConfigSource::File,
            5 => ConfigSource::Default,
            other => ConfigSource::Other(other),
        }
    }
}

/// A setting and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name.
    pub name: String,
    /// Nothing where the value is a secret or there is none.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed at run time.
    pub is_read_only: bool,
    /// Whether the value is a secret.
    pub is_sensitive: bool,
}

/// A change to a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alteration {
    /// Give it this value.
    Set(String),
    /// Let the default hold again.
    Reset,
    /// Add this to a list.
    Append(String),
    /// Take this from a list.
    Subtract(String),
}

impl Admin {
    /// All settings, or those named.
    pub async fn describe_configs(
        &self,
        resource: &Resource,
        names: Option<&[&str]>,
    ) -> Result<Vec<ConfigEntry>, Error> {
        let (resource_type, resource_name) = resource.on_the_wire();
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name,
                configuration_keys: names.map(|names| names.iter().copied().map(Str::from).collect()),
            }],
            ..DescribeConfigsRequest::default()
        };
        let answer = self.call(&request).await?;
        let Some(result) = answer.results.first() else { return Ok(Vec::new()) };
        Refusal::check(result.error_code, result.error_message.as_ref()).map_err(|refusal| {
            Error::refused(format!("read the configuration of {}", resource.in_words()), refusal)
        })?;
        let entry =
            |config: &protocol::messages::describe_configs::DescribeConfigsResourceResult| ConfigEntry {
                name: config.name.to_string(),
                value: config.value.as_ref().map(ToString::to_string),
                source: ConfigSource::from(config.config_source),
                is_read_only: config.read_only,
                is_sensitive: config.is_sensitive,
            };
        Ok(result.configs.iter().map(entry).collect())
    }

    /// Changes settings, all of them or none.
    pub async fn alter_configs(
        &self,
        resource: &Resource,
        alterations: &[(&str, Alteration)],
    ) -> Result<(), Error> {
        let (resource_type, resource_name) = resource.on_the_wire();
        let config = |(name, alteration): &(&str, Alteration)| {
            let (config_operation, value) = match alteration {
                Alteration::Set(value) => (0, Some(value)),
                Alteration::Reset => (1, None),
                Alteration::Append(value) => (2, Some(value)),
                Alteration::Subtract(value) => (3, Some(value)),
            };
            AlterableConfig { name: Str::from(*name), config_operation, value: value.map(Str::from) }
        };
        let configs = alterations.iter().map(config).collect();
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource { resource_type, resource_name, configs }],
            validate_only: false,
        };
        let answer = self.call(&request).await?;
        for result in &answer.responses {
            Refusal::check(result.error_code, result.error_message.as_ref()).map_err(|refusal| {
                Error::refused(format!("change the configuration of {}", resource.in_words()), refusal)
            })?;
        }
        Ok(())
    }
}
