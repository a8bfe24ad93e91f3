//! Resources: add-ons as their owners see them, read together with what an owner always wants to see beside them.

use model::resource::State;
use model::{
    AccountId, AppId, ClusterId, ClusterStatus, Generation, OperationId, Plan, Release, ResourceId, Timestamp,
};
use sqlx::types::Json;

use crate::app::App;
use crate::{StoreError, Tx, code};

/// What is stored when a resource is accepted.
#[derive(Clone, Debug)]
pub struct NewResource {
    /// Its id.
    pub id: ResourceId,
    /// Its owner.
    pub account: AccountId,
    /// Its name, unique among those of the account that are not gone.
    pub name: String,
    /// Its plan.
    pub plan_name: String,
    /// Where it runs.
    pub region: String,
    /// What its owner reads until something has happened.
    pub message: String,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// A resource with its plan, its cluster, where it is attached first, and what is under way.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Its owner.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Its plan.
    pub plan: Plan,
    /// Where it runs.
    pub region: String,
    /// Where it is in its life.
    pub state: State,
    /// Why it is in that state, or what it waits for.
    pub message: String,
    /// The app that it was attached to first.
    pub app: Option<App>,
    /// Under which name.
    pub attachment: Option<String>,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The cluster's name.
    pub cluster_name: String,
    /// The generation of the cluster's newest intent.
    pub generation: Generation,
    /// The broker release that the newest intent asks for.
    pub release: Release,
    /// What the agent said last.
    pub status: Option<ClusterStatus>,
    /// The newest operation that is not finished.
    pub operation: Option<OperationId>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its state or message changed last.
    pub updated_at: Timestamp,
}

/// Which resources of an account are asked for.
#[derive(Default)]
struct Filter<'a> {
    id: Option<ResourceId>,
    name: Option<&'a str>,
    before: Option<ResourceId>,
    gone_too: bool,
    limit: i64,
}

/// Stores a new resource in state `provisioning`.
/// [`Constraint::ResourceName`](crate::Constraint::ResourceName) if the name is taken.
pub async fn insert(tx: &mut Tx, resource: &NewResource) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into resources
             (id, account_id, name, plan_name, region, state, message, created_at_ms, updated_at_ms)
         values ($1, $2, $3, $4, $5, 'provisioning', $6, $7, $7)",
        resource.id.0,
        resource.account.0,
        resource.name,
        resource.plan_name,
        resource.region,
        resource.message,
        resource.created_at.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An account's resource by id, whatever its state.
pub async fn by_id(tx: &mut Tx, account: AccountId, id: ResourceId) -> Result<Option<Resource>, StoreError> {
    let filter = Filter { id: Some(id), gone_too: true, limit: 1, ..Filter::default() };
    Ok(select(tx, account, filter).await?.pop())
}

/// An account's resource by name; one that is gone has no name any more.
pub async fn by_name(tx: &mut Tx, account: AccountId, name: &str) -> Result<Option<Resource>, StoreError> {
    let filter = Filter { name: Some(name), limit: 1, ..Filter::default() };
    Ok(select(tx, account, filter).await?.pop())
}

/// An account's resources that are not gone, newest first, older than `before` if that is given.
pub async fn page(
    tx: &mut Tx,
    account: AccountId,
    before: Option<ResourceId>,
    limit: u32,
) -> Result<Vec<Resource>, StoreError> {
    select(tx, account, Filter { before, limit: i64::from(limit), ..Filter::default() }).await
}

/// Keeps every other change of a resource and of its cluster waiting until the transaction ends. Use cases that read
/// before they write begin with it.
pub async fn lock(tx: &mut Tx, id: ResourceId) -> Result<(), StoreError> {
    sqlx::query!("select id from resources where id = $1 for update", id.0).fetch_optional(tx.conn()).await?;
    Ok(())
}

/// A resource's state and its explanation.
pub async fn state(tx: &mut Tx, id: ResourceId) -> Result<Option<(State, String)>, StoreError> {
    let row = sqlx::query!("select state, message from resources where id = $1", id.0)
        .fetch_optional(tx.conn())
        .await?;
    row.map(|row| Ok((code::parse("resource state", &row.state)?, row.message))).transpose()
}

/// Sets the state and its explanation, if either differs; says whether it did.
pub async fn set_state(
    tx: &mut Tx,
    id: ResourceId,
    state: State,
    message: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update resources set state = $2, message = $3, updated_at_ms = $4
         where id = $1 and (state, message) is distinct from ($2, $3)",
        id.0,
        code::text(state),
        message,
        now.0
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn select(tx: &mut Tx, account: AccountId, filter: Filter<'_>) -> Result<Vec<Resource>, StoreError> {
    let rows = sqlx::query!(
        r#"select resources.id, resources.account_id, resources.name, resources.region, resources.state,
                  resources.message, resources.created_at_ms, resources.updated_at_ms,
                  plans.definition as "plan: Json<Plan>",
                  clusters.id as cluster_id, clusters.name as cluster_name, clusters.generation,
                  clusters.status as "status?: Json<ClusterStatus>",
                  intents.body ->> 'release' as "release!",
                  attached.app_id as "app_id?", attached.app_name as "app_name?",
                  attached.app_created_at_ms as "app_created_at_ms?", attached.name as "attachment?",
                  (select operations.id from operations
                   where operations.cluster_id = clusters.id and operations.finished_at_ms is null
                   order by operations.id desc limit 1) as operation_id
           from resources
           join plans on plans.name = resources.plan_name
           join clusters on clusters.resource_id = resources.id
           join intents on intents.cluster_id = clusters.id and intents.generation = clusters.generation
           left join lateral (
               select attachments.name, apps.id as app_id, apps.name as app_name,
                      apps.created_at_ms as app_created_at_ms
               from attachments join apps on apps.id = attachments.app_id
               where attachments.resource_id = resources.id
               order by attachments.id limit 1
           ) attached on true
           where resources.account_id = $1
             and ($2::uuid is null or resources.id = $2)
             and ($3::text is null or resources.name = $3)
             and ($4::uuid is null or resources.id < $4)
             and ($5 or resources.state <> 'gone')
           order by resources.id desc
           limit $6"#,
        account.0,
        filter.id.map(|id| id.0),
        filter.name,
        filter.before.map(|id| id.0),
        filter.gone_too,
        filter.limit
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let app = match (row.app_id, row.app_name, row.app_created_at_ms) {
                (Some(id), Some(name), Some(created_at_ms)) => {
                    Some(App { id: AppId(id), name, created_at: Timestamp(created_at_ms) })
                }
                _ => None,
            };
            Ok(Resource {
                id: ResourceId(row.id),
                account: AccountId(row.account_id),
                name: row.name,
                plan: row.plan.0,
                region: row.region,
                state: code::parse("resource state", &row.state)?,
                message: row.message,
                app,
                attachment: row.attachment,
                cluster: ClusterId(row.cluster_id),
                cluster_name: row.cluster_name,
                generation: Generation(row.generation),
                release: Release(row.release),
                status: row.status.map(|status| status.0),
                operation: row.operation_id.map(OperationId),
                created_at: Timestamp(row.created_at_ms),
                updated_at: Timestamp(row.updated_at_ms),
            })
        })
        .collect()
}
