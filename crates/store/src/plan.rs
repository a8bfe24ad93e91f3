//! The catalogue of plans in force.

use model::Plan;
use sqlx::types::Json;

use crate::{StoreError, Tx};

/// Adds a plan unless one of its name is there: what an operator has changed in Postgres stays.
pub async fn insert_missing(tx: &mut Tx, position: i32, plan: &Plan) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into plans (name, position, definition) values ($1, $2, $3) on conflict (name) do nothing",
        plan.name,
        position,
        Json(plan) as _
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The plans that are offered, in the catalogue's order.
pub async fn listed(tx: &mut Tx) -> Result<Vec<Plan>, StoreError> {
    let rows = sqlx::query!(
        r#"select definition as "definition: Json<Plan>" from plans where listed order by position, name"#
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.definition.0).collect())
}
