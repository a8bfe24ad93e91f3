//! Reading resources.

use std::fmt;
use std::str::FromStr;

use model::resource::State;
use model::status::Endpoint;
use model::{ClusterId, ClusterStatus, Generation, OperationId, Plan, Release, ResourceId, Timestamp};
use store::Tx;
use store::app::App;

use crate::Control;
use crate::caller::Caller;
use crate::page::{Page, Paged};
use crate::problem::Problem;

/// When to look again at a resource that is being provisioned: it takes a second or two.
const RETRY_PROVISIONING_SECONDS: u32 = 1;

/// An add-on as its owner sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    pub name: String,
    /// Its plan.
    pub plan: Plan,
    /// Where it runs.
    pub region: String,
    /// Where it is in its life.
    pub state: State,
    /// Why it is in that state or what it waits for, as a sentence.
    pub message: String,
    /// The app that it was attached to first.
    pub app: Option<App>,
    /// Under which name.
    pub attachment: Option<String>,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The cluster's name.
    pub cluster_name: String,
    /// Counts the changes of what is wanted of it.
    pub generation: Generation,
    /// The broker release that is wanted.
    pub release: Release,
    /// What the agent next to the brokers said last.
    pub status: Option<ClusterStatus>,
    /// The operation that is under way.
    pub operation: Option<OperationId>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its state or message changed last.
    pub updated_at: Timestamp,
}

impl Resource {
    /// Where clients can start; empty until that is known.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<Endpoint> {
        self.status.as_ref().map(ClusterStatus::bootstrap).unwrap_or_default()
    }

    /// The value of `KAFKA_URL` in Heroku's form, once the resource can be used.
    #[must_use]
    pub fn kafka_url(&self) -> Option<String> {
        let endpoints = self.bootstrap();
        if endpoints.is_empty() || !self.state.is_usable() {
            return None;
        }
        let urls: Vec<String> = endpoints.iter().map(|endpoint| format!("kafka+ssl://{endpoint}")).collect();
        Some(urls.join(","))
    }

    /// Whether nothing is under way that its owner waits for.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.state.is_waiting()
    }

    /// An error unless topics and credentials can be used now.
    pub(crate) fn usable(&self) -> Result<(), Problem> {
        if self.state.is_usable() {
            return Ok(());
        }
        Err(Problem::NotReady {
            message: format!("{} is not ready: {}", self.name, self.message),
            retry_after_seconds: RETRY_PROVISIONING_SECONDS,
        })
    }
}

impl From<store::resource::Resource> for Resource {
    fn from(row: store::resource::Resource) -> Resource {
        Resource {
            id: row.id,
            name: row.name,
            plan: row.plan,
            region: row.region,
            state: row.state,
            message: row.message,
            app: row.app,
            attachment: row.attachment,
            cluster: row.cluster,
            cluster_name: row.cluster_name,
            generation: row.generation,
            release: row.release,
            status: row.status,
            operation: row.operation,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// How a resource is named in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceRef {
    /// By its id.
    Id(ResourceId),
    /// By its name.
    Name(String),
}

impl From<&str> for ResourceRef {
    fn from(text: &str) -> ResourceRef {
        ResourceId::from_str(text).map_or_else(|_| ResourceRef::Name(text.to_owned()), ResourceRef::Id)
    }
}

impl From<ResourceId> for ResourceRef {
    fn from(id: ResourceId) -> ResourceRef {
        ResourceRef::Id(id)
    }
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceRef::Id(id) => id.fmt(f),
            ResourceRef::Name(name) => name.fmt(f),
        }
    }
}

impl Control {
    /// One of the caller's resources. [`Problem::Gone`] for one that was removed, if it is named by its id; a name
    /// says nothing any more then.
    pub async fn resource(&self, caller: &Caller, reference: &ResourceRef) -> Result<Resource, Problem> {
        let mut tx = self.begin().await?;
        find(&mut tx, caller, reference).await
    }

    /// The caller's resources that are not gone, newest first.
    pub async fn resources(&self, caller: &Caller, page: Page) -> Result<Paged<Resource>, Problem> {
        let mut tx = self.begin().await?;
        let after = page.after.map(ResourceId);
        let rows = store::resource::page(&mut tx, caller.account, after, page.fetch()).await?;
        Ok(page.cut(rows.into_iter().map(Resource::from).collect(), |resource| resource.id.0))
    }
}

pub(crate) async fn find(tx: &mut Tx, caller: &Caller, reference: &ResourceRef) -> Result<Resource, Problem> {
    let row = match reference {
        ResourceRef::Id(id) => store::resource::by_id(tx, caller.account, *id).await?,
        ResourceRef::Name(name) => store::resource::by_name(tx, caller.account, name).await?,
    };
    let resource = Resource::from(row.ok_or_else(|| Problem::not_found("resource", reference))?);
    if resource.state == State::Gone {
        return Err(Problem::Gone { what: "resource", reference: reference.to_string() });
    }
    Ok(resource)
}

/// The same, with every other change of it kept waiting until the transaction ends.
pub(crate) async fn find_locked(
    tx: &mut Tx,
    caller: &Caller,
    reference: &ResourceRef,
) -> Result<Resource, Problem> {
    let id = find(tx, caller, reference).await?.id;
    store::resource::lock(tx, id).await?;
    // Read again: what was read before the lock may have been changed by whoever held it.
    find(tx, caller, &ResourceRef::Id(id)).await
}
