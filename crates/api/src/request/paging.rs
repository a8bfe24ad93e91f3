//! The query of a list: where to go on, and how much.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use control::Page;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::{Problem, registry};

/// How many items a page has when the caller does not say.
const DEFAULT_LIMIT: u32 = 50;

/// Where to go on, and how much.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// The `next` of the page before.
    pub after: Option<Uuid>,
    /// Items of this page, at most 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// The same for a list that can be narrowed to one resource.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ResourcePaging {
    /// Only what belongs to this resource (name or id).
    pub resource: Option<String>,
    /// The `next` of the page before.
    pub after: Option<Uuid>,
    /// Items of this page, at most 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

impl From<Paging> for Page {
    fn from(paging: Paging) -> Page {
        page(paging.after, paging.limit)
    }
}

/// The page that is asked for, with what the caller left out. The use case bounds the limit.
pub(crate) fn page(after: Option<Uuid>, limit: Option<u32>) -> Page {
    Page { after, limit: limit.unwrap_or(DEFAULT_LIMIT) }
}

/// A query string, refused with the name of the parameter that cannot be understood.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Parameters(parameters)),
            Err(rejection) => Err(Problem::new(&registry::BAD_PARAMETER, rejection.body_text())),
        }
    }
}
