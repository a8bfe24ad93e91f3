//! The numbers of a cluster on one page.

use crate::caller::Caller;
use crate::problem::Problem;
use crate::topic::Topic;
use crate::{Control, Resource, ResourceRef};

/// A resource with what its brokers hold.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterInfo {
    /// The resource.
    pub resource: Resource,
    /// Its topics, also those that are being made or removed, by name.
    pub topics: Vec<Topic>,
    /// Partitions times replication factor, internal topics not counted.
    pub partition_replicas: u32,
    /// Stored bytes over all brokers, copies included; nothing while they do not say.
    pub data_size_bytes: Option<u64>,
    /// Whether the brokers answered. If not, `topics` holds only what the platform itself knows.
    pub reachable: bool,
}

impl Control {
    /// A resource with what its brokers hold. Brokers that do not answer make the page poorer, not an error.
    pub async fn cluster_info(
        &self,
        caller: &Caller,
        reference: &ResourceRef,
    ) -> Result<ClusterInfo, Problem> {
        let resource = self.resource(caller, reference).await?;
        let brokers = &self.inner.brokers;
        let (seen, data_size_bytes) = match self.access(resource.cluster).await {
            Ok(access) if resource.state.is_usable() => match brokers.topics(&access).await {
                Ok(topics) => (Some(topics), brokers.stored_bytes(&access).await.ok()),
                Err(_) => (None, None),
            },
            Err(problem @ (Problem::Internal { .. } | Problem::Unavailable { what: "database", .. })) => {
                return Err(problem);
            }
            _ => (None, None),
        };
        let reachable = seen.is_some();
        let topics = self.merge_topics(resource.cluster, seen.unwrap_or_default()).await?;
        let partition_replicas = topics
            .iter()
            .filter(|topic| !topic.internal)
            .map(|topic| topic.partitions * u32::from(topic.replication_factor))
            .sum();
        Ok(ClusterInfo { resource, topics, partition_replicas, data_size_bytes, reachable })
    }
}
