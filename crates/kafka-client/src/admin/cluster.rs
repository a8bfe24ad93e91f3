//! What the cluster is.

use protocol::messages::DescribeClusterRequest;

use crate::admin::Admin;
use crate::error::{Error, Refusal};

/// A cluster as one of its brokers sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's own id.
    pub id: String,
    /// The broker that leads the metadata quorum; none during an election.
    pub controller_id: Option<i32>,
    /// All brokers that are not fenced, by id.
    pub brokers: Vec<Broker>,
}

/// Where a broker can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// What it advertises to clients of the listener that was asked.
    pub host: String,
    /// As `host`.
    pub port: u16,
    /// The failure domain it is in, if that is configured.
    pub rack: Option<String>,
}

impl Admin {
    /// Id, controller and brokers.
    pub async fn describe_cluster(&self) -> Result<Cluster, Error> {
        let request = DescribeClusterRequest::default();
        let answer = self.call(&request).await?;
        Refusal::check(answer.error_code, answer.error_message.as_ref())
            .map_err(|refusal| Error::refused("describe the cluster", refusal))?;
        let mut brokers: Vec<Broker> = answer
            .brokers
            .iter()
            .map(|broker| Broker {
                id: broker.broker_id,
                host: broker.host.to_string(),
                // A port outside the range is the broker's mistake and fails when it is connected to.
                port: u16::try_from(broker.port).unwrap_or(0),
                rack: broker.rack.as_ref().map(ToString::to_string),
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        let controller_id = Some(answer.controller_id).filter(|id| *id >= 0);
        Ok(Cluster { id: answer.cluster_id.to_string(), controller_id, brokers })
    }
}
