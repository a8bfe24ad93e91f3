//! Who asks, and from where. Made by [`authenticate`](crate::Control::authenticate); passed to every use case.

use model::{AccountId, TokenId};
use serde::{Deserialize, Serialize};

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// In whose account it acts.
    pub account: AccountId,
    /// The account's name.
    pub account_name: String,
    /// With which token; none for a part of the platform itself.
    pub token: Option<TokenId>,
    /// What the audit trail calls it: the token's label.
    pub actor: String,
    /// From where.
    pub origin: Origin,
}

/// Where a request came from, as far as known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its network address.
    pub address: Option<String>,
    /// The id by which the front's log knows it.
    pub request_id: Option<String>,
}

impl Caller {
    /// The same caller, from there.
    #[must_use]
    pub fn from(self, origin: Origin) -> Caller {
        Caller { origin, ..self }
    }
}
