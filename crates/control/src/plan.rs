//! The plans on offer.

use model::Plan;
use store::Tx;

use crate::Control;
use crate::problem::Problem;

impl Control {
    /// The plans on offer, in the catalogue's order.
    pub async fn plans(&self) -> Result<Vec<Plan>, Problem> {
        let mut tx = self.begin().await?;
        Ok(store::plan::listed(&mut tx).await?)
    }
}

/// The plan of a name, with or without the add-on's slug in front (`heroku-kafka:dev`).
pub(crate) async fn find(tx: &mut Tx, name: &str) -> Result<Plan, Problem> {
    let plans = store::plan::listed(tx).await?;
    let bare = name.rsplit_once(':').map_or(name, |(_, bare)| bare);
    let known = plans.iter().map(|plan| plan.name.clone()).collect();
    plans
        .into_iter()
        .find(|plan| plan.name == bare)
        .ok_or_else(|| Problem::UnknownPlan { name: name.to_owned(), known })
}
