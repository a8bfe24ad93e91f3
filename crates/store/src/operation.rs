//! Operations and their steps.

use std::collections::BTreeMap;

use model::operation::{Failure, Kind, Operation, State, Step};
use model::status::Waiting;
use model::{AccountId, ClusterId, Generation, OperationId, ResourceId, Timestamp};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{StoreError, Tx, code};

/// Which operations are asked for.
#[derive(Default)]
struct Filter {
    account: Option<AccountId>,
    id: Option<OperationId>,
    resource: Option<ResourceId>,
    cluster: Option<ClusterId>,
    before: Option<OperationId>,
    unfinished_only: bool,
    limit: i64,
}

/// Stores a new operation with its steps.
pub async fn insert(tx: &mut Tx, account: AccountId, operation: &Operation) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into operations
             (id, account_id, resource_id, cluster_id, kind, generation, state, created_at_ms, updated_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        operation.id.0,
        account.0,
        operation.resource.0,
        operation.cluster.0,
        code::text(operation.kind),
        operation.generation.0,
        code::text(operation.state),
        operation.created_at.0
    )
    .execute(tx.conn())
    .await?;
    for (position, step) in (0_i16..).zip(&operation.steps) {
        sqlx::query!(
            "insert into operation_steps
                 (operation_id, position, name, state, message, started_at_ms, finished_at_ms)
             values ($1, $2, $3, $4, $5, $6, $7)",
            operation.id.0,
            position,
            step.name,
            code::text(step.state),
            step.message,
            step.started_at.map(|at| at.0),
            step.finished_at.map(|at| at.0)
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Stores what has changed about an operation: its state, what it waits for, its steps.
pub async fn update(tx: &mut Tx, operation: &Operation) -> Result<(), StoreError> {
    sqlx::query!(
        "update operations
         set state = $2, waiting = $3, failure = $4, updated_at_ms = $5, finished_at_ms = $6
         where id = $1",
        operation.id.0,
        code::text(operation.state),
        Json(&operation.waiting) as _,
        operation.failure.as_ref().map(Json) as _,
        operation.updated_at.0,
        operation.finished_at.map(|at| at.0)
    )
    .execute(tx.conn())
    .await?;
    for (position, step) in (0_i16..).zip(&operation.steps) {
        sqlx::query!(
            "update operation_steps set state = $3, message = $4, started_at_ms = $5, finished_at_ms = $6
             where operation_id = $1 and position = $2",
            operation.id.0,
            position,
            code::text(step.state),
            step.message,
            step.started_at.map(|at| at.0),
            step.finished_at.map(|at| at.0)
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// An account's operation.
pub async fn by_id(
    tx: &mut Tx,
    account: AccountId,
    id: OperationId,
) -> Result<Option<Operation>, StoreError> {
    let filter = Filter { account: Some(account), id: Some(id), limit: 1, ..Filter::default() };
    Ok(select(tx, filter).await?.pop())
}

/// An account's operations, newest first, narrowed to a resource if one is given.
pub async fn page(
    tx: &mut Tx,
    account: AccountId,
    resource: Option<ResourceId>,
    before: Option<OperationId>,
    limit: u32,
) -> Result<Vec<Operation>, StoreError> {
    let filter =
        Filter { account: Some(account), resource, before, limit: i64::from(limit), ..Filter::default() };
    select(tx, filter).await
}

/// The operations of a cluster that are not finished, newest first. There are rarely more than two: what is under way
/// and the removal that overtakes it.
pub async fn unfinished(tx: &mut Tx, cluster: ClusterId) -> Result<Vec<Operation>, StoreError> {
    const MORE_THAN_THERE_ARE: i64 = 100;
    let filter = Filter {
        cluster: Some(cluster),
        unfinished_only: true,
        limit: MORE_THAN_THERE_ARE,
        ..Filter::default()
    };
    select(tx, filter).await
}

/// The clusters that have unfinished operations, oldest first, after `after` in the order of their ids.
pub async fn clusters_with_unfinished(
    tx: &mut Tx,
    after: Option<ClusterId>,
    limit: u32,
) -> Result<Vec<ClusterId>, StoreError> {
    let rows = sqlx::query!(
        "select distinct cluster_id from operations
         where finished_at_ms is null and ($1::uuid is null or cluster_id > $1)
         order by cluster_id limit $2",
        after.map(|id| id.0),
        i64::from(limit)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| ClusterId(row.cluster_id)).collect())
}

async fn select(tx: &mut Tx, filter: Filter) -> Result<Vec<Operation>, StoreError> {
    let rows = sqlx::query!(
        r#"select operations.id, operations.resource_id, operations.cluster_id, operations.kind,
                  operations.generation, operations.state,
                  operations.waiting as "waiting: Json<Vec<Waiting>>",
                  operations.failure as "failure?: Json<Failure>",
                  operations.created_at_ms, operations.updated_at_ms, operations.finished_at_ms,
                  resources.name as resource_name
           from operations join resources on resources.id = operations.resource_id
           where ($1::uuid is null or operations.account_id = $1)
             and ($2::uuid is null or operations.id = $2)
             and ($3::uuid is null or operations.resource_id = $3)
             and ($4::uuid is null or operations.cluster_id = $4)
             and ($5::uuid is null or operations.id < $5)
             and (not $6 or operations.finished_at_ms is null)
           order by operations.id desc
           limit $7"#,
        filter.account.map(|id| id.0),
        filter.id.map(|id| id.0),
        filter.resource.map(|id| id.0),
        filter.cluster.map(|id| id.0),
        filter.before.map(|id| id.0),
        filter.unfinished_only,
        filter.limit
    )
    .fetch_all(tx.conn())
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut steps = steps_of(tx, &ids).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Operation {
                id: OperationId(row.id),
                kind: code::parse::<Kind>("operation kind", &row.kind)?,
                resource: ResourceId(row.resource_id),
                resource_name: row.resource_name,
                cluster: ClusterId(row.cluster_id),
                generation: Generation(row.generation),
                state: code::parse::<State>("operation state", &row.state)?,
                steps: steps.remove(&row.id).unwrap_or_default(),
                waiting: row.waiting.0,
                failure: row.failure.map(|failure| failure.0),
                created_at: Timestamp(row.created_at_ms),
                updated_at: Timestamp(row.updated_at_ms),
                finished_at: row.finished_at_ms.map(Timestamp),
            })
        })
        .collect()
}

async fn steps_of(tx: &mut Tx, operations: &[Uuid]) -> Result<BTreeMap<Uuid, Vec<Step>>, StoreError> {
    let rows = sqlx::query!(
        "select operation_id, name, state, message, started_at_ms, finished_at_ms
         from operation_steps where operation_id = any($1) order by operation_id, position",
        operations
    )
    .fetch_all(tx.conn())
    .await?;
    let mut steps: BTreeMap<Uuid, Vec<Step>> = BTreeMap::new();
    for row in rows {
        steps.entry(row.operation_id).or_default().push(Step {
            name: row.name,
            state: code::parse("step state", &row.state)?,
            message: row.message,
            started_at: row.started_at_ms.map(Timestamp),
            finished_at: row.finished_at_ms.map(Timestamp),
        });
    }
    Ok(steps)
}
