//! Resources: the add-ons that an account owns.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::operation::Operation;

/// Where a resource is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResourceState)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Accepted; it cannot be used yet.
    Provisioning,
    /// Clients can use it.
    Ready,
    /// It works less well than promised, or not at all, and is being healed.
    Degraded,
    /// It is being removed with its data.
    Deprovisioning,
    /// It is gone.
    Gone,
    /// It could not be provisioned and needs a person.
    Failed,
}

/// An add-on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resource {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique within the account.
    pub name: String,
    /// The plan's name.
    pub plan: String,
    /// Where it is.
    pub region: String,
    /// Where it is in its life.
    pub state: State,
    /// Why it is in this state and what it waits for, as a sentence.
    pub message: String,
    /// The application that it was made for.
    pub app: Option<String>,
    /// Under which name it is attached to that application: the prefix of its config vars.
    pub attachment: Option<String>,
    /// Its Kafka cluster.
    pub cluster: Cluster,
    /// Counts the changes that were asked for; also the `ETag`.
    pub generation: i64,
    /// The operation that works on it now.
    pub operation: Option<Uuid>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When anything about it changed last.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// The Kafka cluster behind a resource, as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The broker release that it is to run.
    pub release: String,
    /// Where clients start, as `host:port`.
    pub bootstrap: Vec<String>,
    /// The same as `kafka+ssl://host:port,…`, once there is a broker.
    pub kafka_url: Option<String>,
    /// Its brokers.
    pub brokers: Vec<Broker>,
    /// When it was last seen; nothing in `brokers` is newer.
    #[schema(format = DateTime)]
    pub seen_at: Option<String>,
}

/// One broker, as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// Whether clients can use it; none when that is not known.
    pub ready: Option<bool>,
    /// Why, as a code.
    pub reason: String,
    /// Why, as a sentence.
    pub message: String,
    /// Where clients reach it.
    pub endpoint: Option<String>,
    /// How often it was started again after it had ended by itself.
    pub restarts: u32,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewResource {
    /// The plan's name.
    pub plan: String,
    /// A name of your choice: lower-case letters, digits and `-`. One is made up when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The application to attach it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// The answer to a request that takes time: what is being done, and to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// The operation to follow.
    pub operation: Operation,
    /// The resource as it is now.
    pub resource: Resource,
}
