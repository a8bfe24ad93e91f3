//! Apps, and the resources attached to them.

use model::resource::State;
use model::{AccountId, AppId, AttachmentId, ResourceId, Timestamp};

use crate::{StoreError, Tx, code};

/// An application of a developer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Its name, unique in its account.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One resource attached to one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// The name that the app's config vars start with, for instance `KAFKA`.
    pub name: String,
    /// The app.
    pub app: App,
    /// The resource.
    pub resource: ResourceId,
    /// The resource's name.
    pub resource_name: String,
    /// The resource's plan.
    pub plan_name: String,
    /// The resource's state.
    pub state: State,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Stores a new app. [`Constraint::AppName`](crate::Constraint::AppName) if the account has one of this name.
pub async fn insert(tx: &mut Tx, account: AccountId, app: &App) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into apps (id, account_id, name, created_at_ms) values ($1, $2, $3, $4)",
        app.id.0,
        account.0,
        app.name,
        app.created_at.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The apps of an account, by name.
pub async fn of_account(tx: &mut Tx, account: AccountId) -> Result<Vec<App>, StoreError> {
    let rows = sqlx::query!(
        "select id, name, created_at_ms from apps where account_id = $1 order by name",
        account.0
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| App { id: AppId(row.id), name: row.name, created_at: Timestamp(row.created_at_ms) })
        .collect())
}

/// An account's app by its name or the text of its id.
pub async fn find(tx: &mut Tx, account: AccountId, reference: &str) -> Result<Option<App>, StoreError> {
    let row = sqlx::query!(
        "select id, name, created_at_ms from apps
         where account_id = $1 and (name = $2 or id::text = lower($2)) order by (name = $2) desc limit 1",
        account.0,
        reference
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| App { id: AppId(row.id), name: row.name, created_at: Timestamp(row.created_at_ms) }))
}

/// Attaches a resource. [`Constraint::AttachmentName`](crate::Constraint::AttachmentName) if the app has one so named.
pub async fn attach(
    tx: &mut Tx,
    id: AttachmentId,
    app: AppId,
    resource: ResourceId,
    name: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into attachments (id, app_id, resource_id, name, created_at_ms) values ($1, $2, $3, $4, $5)",
        id.0,
        app.0,
        resource.0,
        name,
        now.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The names that are taken by an app's attachments. Locks the app, so that a name chosen from the rest stays free
/// until the transaction ends.
pub async fn attachment_names(tx: &mut Tx, app: AppId) -> Result<Vec<String>, StoreError> {
    sqlx::query!("select id from apps where id = $1 for update", app.0).fetch_optional(tx.conn()).await?;
    let rows = sqlx::query!("select name from attachments where app_id = $1 order by name", app.0)
        .fetch_all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Attachments of an account, narrowed to an app or a resource if these are given; by app and name.
pub async fn attachments(
    tx: &mut Tx,
    account: AccountId,
    app: Option<AppId>,
    resource: Option<ResourceId>,
) -> Result<Vec<Attachment>, StoreError> {
    let rows = sqlx::query!(
        "select attachments.id, attachments.name, attachments.created_at_ms,
                apps.id as app_id, apps.name as app_name, apps.created_at_ms as app_created_at_ms,
                resources.id as resource_id, resources.name as resource_name, resources.plan_name, resources.state
         from attachments
         join apps on apps.id = attachments.app_id
         join resources on resources.id = attachments.resource_id
         where apps.account_id = $1
           and ($2::uuid is null or apps.id = $2)
           and ($3::uuid is null or resources.id = $3)
         order by apps.name, attachments.name",
        account.0,
        app.map(|id| id.0),
        resource.map(|id| id.0)
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Attachment {
                id: AttachmentId(row.id),
                name: row.name,
                app: App {
                    id: AppId(row.app_id),
                    name: row.app_name,
                    created_at: Timestamp(row.app_created_at_ms),
                },
                resource: ResourceId(row.resource_id),
                resource_name: row.resource_name,
                plan_name: row.plan_name,
                state: code::parse("resource state", &row.state)?,
                created_at: Timestamp(row.created_at_ms),
            })
        })
        .collect()
}

/// Detaches a resource from every app.
pub async fn detach_all(tx: &mut Tx, resource: ResourceId) -> Result<(), StoreError> {
    sqlx::query!("delete from attachments where resource_id = $1", resource.0).execute(tx.conn()).await?;
    Ok(())
}
