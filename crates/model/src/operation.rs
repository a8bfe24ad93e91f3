//! Operations: something that takes time, that a caller can follow, and that says what it waits for.

use serde::{Deserialize, Serialize};

use crate::id::{ClusterId, OperationId, ResourceId};
use crate::status::Waiting;
use crate::time::Timestamp;
use crate::version::Generation;

/// What an operation is to achieve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A new resource is to become ready.
    Provision,
    /// A resource and its data are to be gone.
    Deprovision,
    /// A change of an existing cluster is to take effect on all its brokers.
    Change,
}

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Accepted and stored; nothing has been done yet. Left when the intent is handed to the agent.
    Pending,
    /// The agent works on it. Left when the status of its generation says that it is reached, or that it cannot be.
    Running,
    /// Reached. Final.
    Succeeded,
    /// Given up, or overtaken by a later operation. Final.
    Failed,
}

impl State {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, State::Succeeded | State::Failed)
    }
}

/// One step of an operation, in the order in which they are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// For instance `brokers`; stable, for programs.
    pub name: String,
    /// Where it is.
    pub state: State,
    /// What it does or waits for, for people.
    pub message: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A code: the name of a [`Reason`](crate::Reason), or `Overtaken`.
    pub reason: String,
    /// The same as a sentence that says what to do.
    pub message: String,
}

/// All that is known of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What it is to achieve.
    pub kind: Kind,
    /// For which resource.
    pub resource: ResourceId,
    /// The resource's name.
    pub resource_name: String,
    /// On which cluster.
    pub cluster: ClusterId,
    /// Which generation of the cluster's intent must be reached.
    pub generation: Generation,
    /// Where it is.
    pub state: State,
    /// Its steps.
    pub steps: Vec<Step>,
    /// What it waits for at the moment.
    pub waiting: Vec<Waiting>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When anything about it changed last.
    pub updated_at: Timestamp,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
}
