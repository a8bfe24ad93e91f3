//! How use cases reach the brokers of a cluster: the four questions and orders that they have, and nothing else.
//!
//! The trait exists because tests of limits, retries and lost answers need brokers that misbehave on demand;
//! `kafka` has the real ones.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use model::status::Endpoint;
use model::{ClusterId, ClusterStatus};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Control;
use crate::problem::Problem;

/// Everything that is needed to talk to a cluster as its administrator.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where to start.
    pub bootstrap: Vec<Endpoint>,
    /// Certificate of the authority that signs the brokers' certificates, PEM.
    pub cluster_ca_pem: String,
    /// The platform's client certificate, PEM.
    pub cert_pem: String,
    /// Its key, PKCS#8 PEM.
    pub key_pem: SecretString,
}

/// A topic as the brokers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSeen {
    /// Its name.
    pub name: String,
    /// Partitions.
    pub partitions: u32,
    /// Replicas of each.
    pub replication_factor: u16,
    /// Whether it is the brokers' own.
    pub internal: bool,
    /// Its configuration, by Kafka's names.
    pub config: BTreeMap<String, String>,
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Partitions.
    pub partitions: u32,
    /// Replicas of each.
    pub replication_factor: u16,
    /// Its configuration, by Kafka's names.
    pub config: BTreeMap<String, String>,
}

/// Why the brokers did not do it.
#[derive(Debug, Error)]
pub enum BrokersError {
    /// No answer within the deadline, or none that helps: it may or may not have happened. Trying again helps.
    #[error("the brokers could not be reached: {detail}")]
    Unreachable {
        /// Why.
        detail: String,
    },
    /// There is such a topic already.
    #[error("the topic exists already")]
    TopicExists,
    /// There is no such topic.
    #[error("the topic does not exist")]
    TopicMissing,
    /// Understood and refused; trying again does not help.
    #[error("{message}")]
    Refused {
        /// What they said.
        message: String,
    },
}

/// Brokers, as use cases see them. Every call ends within a deadline of its own.
pub trait Brokers: Send + Sync {
    /// All topics with their configuration, by name.
    fn topics<'a>(&'a self, access: &'a Access) -> BoxFuture<'a, Result<Vec<TopicSeen>, BrokersError>>;

    /// The bytes that all brokers hold, copies included.
    fn stored_bytes<'a>(&'a self, access: &'a Access) -> BoxFuture<'a, Result<u64, BrokersError>>;

    /// Makes a topic.
    fn create_topic<'a>(
        &'a self,
        access: &'a Access,
        topic: &'a TopicSpec,
    ) -> BoxFuture<'a, Result<(), BrokersError>>;

    /// Sets some of a topic's configuration and leaves the rest.
    fn configure_topic<'a>(
        &'a self,
        access: &'a Access,
        name: &'a str,
        config: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<(), BrokersError>>;

    /// Deletes a topic and its records.
    fn delete_topic<'a>(
        &'a self,
        access: &'a Access,
        name: &'a str,
    ) -> BoxFuture<'a, Result<(), BrokersError>>;
}

impl Control {
    /// What is needed to talk to the brokers of a cluster.
    pub(crate) async fn access(&self, cluster: ClusterId) -> Result<Access, Problem> {
        let mut tx = self.begin().await?;
        let status = store::cluster::status(&mut tx, cluster).await?;
        let bootstrap = status.as_ref().map(ClusterStatus::bootstrap).unwrap_or_default();
        let (Some(cluster_ca_pem), false) =
            (status.and_then(|status| status.cluster_ca), bootstrap.is_empty())
        else {
            return Err(Problem::NotReady {
                message: "the addresses of the brokers are not known yet".to_owned(),
                retry_after_seconds: 1,
            });
        };
        let identity = self.admin_identity(&mut tx, cluster).await?;
        Ok(Access { bootstrap, cluster_ca_pem, cert_pem: identity.cert_pem, key_pem: identity.key_pem })
    }
}
