//! The nouns of Penstock: what a plan promises, what is wanted of a cluster, what was seen of it, and what is said about it.
//!
//! Everything here is a plain value: no I/O, no clock, no random numbers, no decision. Three kinds of value are kept
//! apart on purpose, and nothing here converts one into another:
//!
//! - **wanted**: [`ClusterIntent`], an immutable row with a generation; a change is a new intent that names its parent;
//! - **seen**: [`Observed`], a dated observation that also says what could *not* be read;
//! - **said**: [`ClusterStatus`], what the agent next to the brokers reports, naming the generation that it describes.
//!
//! Start reading at [`intent`], then [`observed`], [`action`] and [`status`].

pub mod action;
pub mod certificate;
pub mod condition;
pub mod id;
pub mod intent;
pub mod observed;
pub mod operation;
pub mod plan;
pub mod resource;
pub mod size;
pub mod status;
pub mod time;
pub mod version;

pub use action::Action;
pub use condition::{Condition, Reason};
pub use id::{
    AccountId, AppId, AttachmentId, AuditEventId, BrokerId, ClusterId, CredentialId, IntentId, JobId,
    OperationId, ResourceId, TokenId,
};
pub use intent::{ClusterIntent, Lifecycle};
pub use observed::Observed;
pub use operation::Operation;
pub use plan::Plan;
pub use size::Bytes;
pub use status::ClusterStatus;
pub use time::Timestamp;
pub use version::{FeatureLevel, Generation, Release};
