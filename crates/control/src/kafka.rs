//! The brokers over Kafka's protocol.
//!
//! Connections are kept between use cases, for a TLS handshake costs more than the question. A handle is replaced when
//! the addresses or the platform's certificate change, and connections that broke are replaced by the client itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use kafka_client::{Admin, Alteration, Config, NewTopic, Resource, Tls};
use protocol::ErrorCode;
use secrecy::ExposeSecret;

use crate::brokers::{Access, Brokers, BrokersError, TopicSeen, TopicSpec};

/// How long one call may take, connecting included. A broker answers in milliseconds; one that has not in this time is
/// being restarted, and a person waits on the other side.
const CALL_DEADLINE: Duration = Duration::from_secs(4);

/// How long all calls of one use case may take together.
const TOTAL_DEADLINE: Duration = Duration::from_secs(8);

/// Clusters to which connections are kept; beyond it all are closed, which costs a handshake each.
const MAX_HANDLES: usize = 200;

/// What of a topic's configuration the platform speaks of.
const CONFIG_NAMES: [&str; 2] = ["cleanup.policy", "retention.ms"];

/// Brokers that are reached over their network listeners.
#[derive(Debug, Default)]
pub(crate) struct OverKafka {
    /// By addresses and certificate.
    handles: Mutex<BTreeMap<(String, String), Admin>>,
}

impl OverKafka {
    async fn admin(&self, access: &Access) -> Result<Admin, BrokersError> {
        let addresses: Vec<String> = access.bootstrap.iter().map(ToString::to_string).collect();
        let key = (addresses.join(","), access.cert_pem.clone());
        if let Some(admin) = self.handles.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(admin.clone());
        }
        let bootstrap = access.bootstrap.iter().map(|at| (at.host.clone(), at.port)).collect();
        let mut config = Config::new(bootstrap).with_tls(Tls {
            ca_pem: access.cluster_ca_pem.clone(),
            cert_pem: access.cert_pem.clone(),
            key_pem: access.key_pem.expose_secret().to_owned(),
        });
        config.client_id = "penstock-control".to_owned();
        config.timeout = CALL_DEADLINE;
        let admin = Admin::connect(config).await.map_err(judge)?;
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if handles.len() >= MAX_HANDLES {
            handles.clear();
        }
        handles.insert(key, admin.clone());
        Ok(admin)
    }

    async fn list(&self, access: &Access) -> Result<Vec<TopicSeen>, BrokersError> {
        let admin = self.admin(access).await?;
        let topics = admin.list_topics().await.map_err(judge)?;
        let seen = try_join_all(topics.into_iter().map(|topic| {
            let admin = &admin;
            async move {
                let config = match read_config(admin, &topic.name).await {
                    // Deleted between the two questions.
                    Err(BrokersError::TopicMissing) => return Ok(None),
                    other => other?,
                };
                let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
                Ok(Some(TopicSeen {
                    partitions: u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX),
                    replication_factor: u16::try_from(replicas).unwrap_or(u16::MAX),
                    internal: topic.is_internal,
                    name: topic.name,
                    config,
                }))
            }
        }))
        .await?;
        Ok(seen.into_iter().flatten().collect())
    }
}

async fn read_config(admin: &Admin, topic: &str) -> Result<BTreeMap<String, String>, BrokersError> {
    let resource = Resource::Topic(topic.to_owned());
    let entries = admin.describe_configs(&resource, Some(&CONFIG_NAMES)).await.map_err(judge)?;
    Ok(entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
}

impl Brokers for OverKafka {
    fn topics<'a>(&'a self, access: &'a Access) -> BoxFuture<'a, Result<Vec<TopicSeen>, BrokersError>> {
        bounded(async move {
            match self.list(access).await {
                // A connection that was kept and had broken meanwhile; reading again does no harm.
                Err(BrokersError::Unreachable { .. }) => self.list(access).await,
                other => other,
            }
        })
    }

    fn stored_bytes<'a>(&'a self, access: &'a Access) -> BoxFuture<'a, Result<u64, BrokersError>> {
        bounded(async move { self.admin(access).await?.stored_bytes().await.map_err(judge) })
    }

    fn create_topic<'a>(
        &'a self,
        access: &'a Access,
        topic: &'a TopicSpec,
    ) -> BoxFuture<'a, Result<(), BrokersError>> {
        bounded(async move {
            let wanted = NewTopic {
                name: topic.name.clone(),
                partitions: i32::try_from(topic.partitions).ok(),
                replication_factor: i16::try_from(topic.replication_factor).ok(),
                configs: topic.config.clone(),
            };
            self.admin(access).await?.create_topic(&wanted, false).await.map_err(judge)?;
            Ok(())
        })
    }

    fn configure_topic<'a>(
        &'a self,
        access: &'a Access,
        name: &'a str,
        config: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<(), BrokersError>> {
        bounded(async move {
            let alterations: Vec<(&str, Alteration)> =
                config.iter().map(|(name, value)| (name.as_str(), Alteration::Set(value.clone()))).collect();
            let resource = Resource::Topic(name.to_owned());
            self.admin(access).await?.alter_configs(&resource, &alterations).await.map_err(judge)
        })
    }

    fn delete_topic<'a>(
        &'a self,
        access: &'a Access,
        name: &'a str,
    ) -> BoxFuture<'a, Result<(), BrokersError>> {
        bounded(async move { self.admin(access).await?.delete_topic(name).await.map_err(judge) })
    }
}

fn bounded<'a, T: Send + 'a>(
    call: impl Future<Output = Result<T, BrokersError>> + Send + 'a,
) -> BoxFuture<'a, Result<T, BrokersError>> {
    async move {
        tokio::time::timeout(TOTAL_DEADLINE, call).await.unwrap_or_else(|_| {
            let detail = format!("no answer within {} seconds", TOTAL_DEADLINE.as_secs());
            Err(BrokersError::Unreachable { detail })
        })
    }
    .boxed()
}

/// Sorts the client's errors by what a use case can do about them.
fn judge(error: kafka_client::Error) -> BrokersError {
    match error.code() {
        Some(ErrorCode::TopicAlreadyExists) => BrokersError::TopicExists,
        Some(ErrorCode::UnknownTopicOrPartition) => BrokersError::TopicMissing,
        _ if error.is_retriable() => BrokersError::Unreachable { detail: error.to_string() },
        _ => BrokersError::Refused { message: error.to_string() },
    }
}
