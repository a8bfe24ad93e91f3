//! The bodies of the REST API under `/v1`, as server, client and CLI share them.
//!
//! Plain data with serde and an OpenAPI schema: no HTTP, no rule about what is allowed, no conversion from the
//! domain's types (that is the server's business, in `api`). Names are the wire's names.
//!
//! Invariants: fields are only ever added; a reader ignores fields that it does not know, a *request* with an unknown
//! field is refused, since a misspelt wish must not be ignored. Times are RFC 3339 in UTC, ids are UUIDs, durations
//! and sizes carry their unit in the name. What is secret appears in no `Debug` output.
//!
//! Start reading at [`resource`].

pub mod account;
pub mod app;
pub mod audit;
pub mod credential;
pub mod operation;
pub mod page;
pub mod plan;
pub mod problem;
pub mod resource;
pub mod topic;

pub use page::Page;
pub use problem::Problem;
