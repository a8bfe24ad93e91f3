//! Clusters and the intents that say what is wanted of them.
//!
//! An intent is never changed. [`append_intent`] is the only way to a new one; of two concurrent callers that read the
//! same generation one fails with [`Constraint::IntentGeneration`](crate::Constraint::IntentGeneration).

use model::{ClusterId, ClusterIntent, ClusterStatus, Generation, ResourceId, Timestamp};
use sqlx::types::Json;

use crate::{StoreError, Tx};

/// What is stored of a new cluster besides its first intent.
#[derive(Clone, Debug)]
pub struct NewCluster {
    /// Its id.
    pub id: ClusterId,
    /// Whose it is.
    pub resource: ResourceId,
    /// Its name, unique on the platform.
    pub name: String,
    /// Certificate of the authority that signs its clients' certificates, PEM.
    pub clients_ca_cert: String,
    /// That authority's private key, sealed.
    pub clients_ca_key: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The authority that signs a cluster's client certificates.
#[derive(Clone, Debug)]
pub struct ClientsCa {
    /// Its certificate, PEM.
    pub cert: String,
    /// Its private key, sealed.
    pub sealed_key: Vec<u8>,
}

/// A cluster as the reconciler looks at it.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// Which cluster.
    pub id: ClusterId,
    /// Whose it is.
    pub resource: ResourceId,
    /// Its newest intent.
    pub generation: Generation,
    /// The newest intent that the agent has taken.
    pub published: Option<Generation>,
    /// What the agent said last.
    pub status: Option<ClusterStatus>,
    /// Whether everything of it is gone.
    pub removed: bool,
}

/// Stores a new cluster and its first intent.
pub async fn insert(tx: &mut Tx, cluster: &NewCluster, intent: &ClusterIntent) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into clusters (id, resource_id, name, generation, clients_ca_cert, clients_ca_key, created_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7)",
        cluster.id.0,
        cluster.resource.0,
        cluster.name,
        intent.generation.0,
        cluster.clients_ca_cert,
        cluster.clients_ca_key,
        cluster.created_at.0
    )
    .execute(tx.conn())
    .await?;
    insert_intent(tx, intent, cluster.created_at).await
}

/// Makes an intent the newest of its cluster.
pub async fn append_intent(tx: &mut Tx, intent: &ClusterIntent, now: Timestamp) -> Result<(), StoreError> {
    insert_intent(tx, intent, now).await?;
    sqlx::query!("update clusters set generation = $2 where id = $1", intent.cluster.0, intent.generation.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn insert_intent(tx: &mut Tx, intent: &ClusterIntent, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into intents (cluster_id, generation, parent, body, created_at_ms) values ($1, $2, $3, $4, $5)",
        intent.cluster.0,
        intent.generation.0,
        intent.parent.map(|parent| parent.0),
        Json(intent) as _,
        now.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The newest intent of a cluster.
pub async fn newest_intent(tx: &mut Tx, id: ClusterId) -> Result<Option<ClusterIntent>, StoreError> {
    let row = sqlx::query!(
        r#"select intents.body as "body: Json<ClusterIntent>"
           from clusters
           join intents on intents.cluster_id = clusters.id and intents.generation = clusters.generation
           where clusters.id = $1"#,
        id.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| row.body.0))
}

/// The newest intents that the agent has not taken yet, oldest cluster first. Of a cluster that is gone nothing is to
/// be taken any more, also when the note that its removal was taken got lost.
pub async fn unpublished(tx: &mut Tx, limit: u32) -> Result<Vec<ClusterIntent>, StoreError> {
    let rows = sqlx::query!(
        r#"select intents.body as "body: Json<ClusterIntent>"
           from clusters
           join intents on intents.cluster_id = clusters.id and intents.generation = clusters.generation
           where clusters.published_generation < clusters.generation and clusters.removed_at_ms is null
           order by clusters.id
           limit $1"#,
        i64::from(limit)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.body.0).collect())
}

/// The newest intents of all clusters that the agent is to follow, after `after` in the order of their ids: what is
/// published again to an agent that may have lost them.
pub async fn followed(
    tx: &mut Tx,
    after: Option<ClusterId>,
    limit: u32,
) -> Result<Vec<ClusterIntent>, StoreError> {
    let rows = sqlx::query!(
        r#"select intents.body as "body: Json<ClusterIntent>"
           from clusters
           join intents on intents.cluster_id = clusters.id and intents.generation = clusters.generation
           where clusters.withdrawn_at_ms is null and clusters.removed_at_ms is null
             and ($1::uuid is null or clusters.id > $1)
           order by clusters.id
           limit $2"#,
        after.map(|id| id.0),
        i64::from(limit)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.body.0).collect())
}

/// Notes that the agent has taken a generation. Never goes back.
pub async fn set_published(tx: &mut Tx, id: ClusterId, generation: Generation) -> Result<(), StoreError> {
    sqlx::query!(
        "update clusters set published_generation = $2 where id = $1 and published_generation < $2",
        id.0,
        generation.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whose cluster it is; none if there is no such cluster.
pub async fn owner(tx: &mut Tx, id: ClusterId) -> Result<Option<ResourceId>, StoreError> {
    let row = sqlx::query!("select resource_id from clusters where id = $1", id.0)
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.map(|row| ResourceId(row.resource_id)))
}

/// A cluster, locked until the transaction ends.
pub async fn tracked_locked(tx: &mut Tx, id: ClusterId) -> Result<Option<Tracked>, StoreError> {
    let row = sqlx::query!(
        r#"select id, resource_id, generation, published_generation, removed_at_ms,
                  status as "status?: Json<ClusterStatus>"
           from clusters where id = $1 for update"#,
        id.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Tracked {
        id: ClusterId(row.id),
        resource: ResourceId(row.resource_id),
        generation: Generation(row.generation),
        published: (row.published_generation > 0).then_some(Generation(row.published_generation)),
        status: row.status.map(|status| status.0),
        removed: row.removed_at_ms.is_some(),
    }))
}

/// What the agent said last about a cluster.
pub async fn status(tx: &mut Tx, id: ClusterId) -> Result<Option<ClusterStatus>, StoreError> {
    let row =
        sqlx::query!(r#"select status as "status?: Json<ClusterStatus>" from clusters where id = $1"#, id.0)
            .fetch_optional(tx.conn())
            .await?;
    Ok(row.and_then(|row| row.status).map(|status| status.0))
}

/// Stores what the agent said, unless something newer is stored: of an older generation, or of the same generation at
/// an earlier time, nothing is taken. Says whether it was.
pub async fn set_status(tx: &mut Tx, status: &ClusterStatus) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update clusters set status = $2, observed_generation = $3, status_at_ms = $4
         where id = $1 and (observed_generation, status_at_ms) <= ($3, $4)",
        status.cluster.0,
        Json(status) as _,
        status.observed_generation.0,
        status.at.0
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes that everything of a cluster is gone. Forgets its clients' authority: nothing can be signed any more.
pub async fn set_removed(tx: &mut Tx, id: ClusterId, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "update clusters set removed_at_ms = $2, clients_ca_key = '' where id = $1 and removed_at_ms is null",
        id.0,
        now.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes that the agent does not follow a cluster any more.
pub async fn set_withdrawn(tx: &mut Tx, id: ClusterId, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "update clusters set withdrawn_at_ms = $2 where id = $1 and withdrawn_at_ms is null",
        id.0,
        now.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The authority of a cluster's clients; none if the cluster is gone.
pub async fn clients_ca(tx: &mut Tx, id: ClusterId) -> Result<Option<ClientsCa>, StoreError> {
    let row = sqlx::query!(
        "select clients_ca_cert, clients_ca_key from clusters where id = $1 and removed_at_ms is null",
        id.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| ClientsCa { cert: row.clients_ca_cert, sealed_key: row.clients_ca_key }))
}
