//! Operations: something that takes time and says what it waits for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What an operation is to achieve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationKind)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A new resource is to become ready.
    Provision,
    /// A resource and its data are to be gone.
    Deprovision,
    /// A change of an existing cluster is to take effect.
    Change,
}

/// Where an operation or one of its steps is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = OperationState)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Accepted; nothing has been done yet.
    Pending,
    /// Being worked on.
    Running,
    /// Reached.
    Succeeded,
    /// Given up, or overtaken by a later operation.
    Failed,
}

impl State {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, State::Succeeded | State::Failed)
    }
}

/// Something that takes time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its id.
    pub id: Uuid,
    /// What it is to achieve.
    pub kind: Kind,
    /// For which resource.
    pub resource: Uuid,
    /// The resource's name.
    pub resource_name: String,
    /// Which generation must be reached.
    pub generation: i64,
    /// Where it is.
    pub state: State,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// What it waits for at the moment.
    pub waiting: Vec<Waiting>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// When it was accepted.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When anything about it changed last.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// When it became final.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// One step of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// A stable name, for programs.
    pub name: String,
    /// Where it is.
    pub state: State,
    /// What it does or waits for.
    pub message: String,
    /// When it began.
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// What holds an operation up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// The broker that is waited for, if it is one.
    pub broker: Option<i32>,
    /// Why, as a code.
    pub reason: String,
    /// Why, as a sentence, with what ends the wait.
    pub message: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// As a code.
    pub reason: String,
    /// As a sentence that says what to do.
    pub message: String,
}
