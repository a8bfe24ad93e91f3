//! What an error looks like: RFC 9457 with a few fields of our own.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error, as a program and a person can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Where this kind of problem is described, relative to the API's address.
    #[serde(rename = "type")]
    pub kind: String,
    /// What this kind of problem means, the same for each occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable code for programs, for instance `name-taken`.
    pub code: String,
    /// What happened this time, and why.
    pub detail: String,
    /// What to do next.
    pub advice: String,
    /// The request; name it when you ask for help.
    pub request_id: String,
    /// The field of the request that is to blame, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The generation that is current, where `If-Match` named another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_generation: Option<i64>,
    /// When trying again makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// One entry of the registry of problems, as `/v1/problems` lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProblemKind)]
pub struct Kind {
    /// The stable code.
    pub code: String,
    /// The HTTP status that comes with it.
    pub status: u16,
    /// What it means.
    pub meaning: String,
    /// What to do about it in general.
    pub advice: String,
}
