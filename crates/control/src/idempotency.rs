//! Idempotency keys: the same request with the same key happens once.
//!
//! The key is claimed in the transaction of the request, so a request that fails leaves it free, and two at the same
//! time wait for each other. What is remembered is which things were made, not a copy of the answer: a repetition shows
//! them as they are now.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::Tx;
use store::idempotency::Seen;

use crate::Control;
use crate::caller::Caller;
use crate::problem::Problem;

/// The longest key. Clients send UUIDs or hashes.
const MAX_KEY: usize = 255;

/// A request with its key, if it has one.
pub(crate) struct Request<'a> {
    key: Option<&'a str>,
    fingerprint: [u8; 32],
}

impl<'a> Request<'a> {
    /// `use_case` and `arguments` together say what the request is: with another of either it is another request.
    pub(crate) fn new(
        key: Option<&'a str>,
        use_case: &str,
        arguments: &impl Serialize,
    ) -> Result<Request<'a>, Problem> {
        if let Some(key) = key
            && (key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(Problem::invalid(
                "Idempotency-Key",
                format!("a key has 1 to {MAX_KEY} printable ASCII characters without spaces"),
            ));
        }
        let body = serde_json::to_vec(&(use_case, arguments)).map_err(|error| Problem::internal(&error))?;
        Ok(Request { key, fingerprint: Sha256::digest(body).into() })
    }
}

impl Control {
    /// Claims the request's key; returns what the same request made before, if it did.
    pub(crate) async fn claim<T: DeserializeOwned>(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        request: &Request<'_>,
    ) -> Result<Option<T>, Problem> {
        let Some(key) = request.key else { return Ok(None) };
        match store::idempotency::claim(tx, caller.account, key, &request.fingerprint, self.now()).await? {
            Seen::First => Ok(None),
            Seen::Before { answer } => {
                serde_json::from_value(answer).map(Some).map_err(|error| Problem::internal(&error))
            }
            Seen::Different => Err(Problem::IdempotencyConflict { key: key.to_owned() }),
        }
    }

    /// Remembers what the request has made, to be found by [`claim`](Self::claim).
    pub(crate) async fn remember(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        request: &Request<'_>,
        made: &impl Serialize,
    ) -> Result<(), Problem> {
        let Some(key) = request.key else { return Ok(()) };
        let answer: Value = serde_json::to_value(made).map_err(|error| Problem::internal(&error))?;
        Ok(store::idempotency::remember(tx, caller.account, key, &answer).await?)
    }
}
