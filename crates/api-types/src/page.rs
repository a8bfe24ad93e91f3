//! Lists come in pages that continue after the last item of the page before (a key, not a number), so that items
//! which are added or removed meanwhile shift nothing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One page of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Hand this in as `after` to get the next page; none when this is the last.
    pub next: Option<Uuid>,
}

/// A list that is short by its nature and comes whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
}
