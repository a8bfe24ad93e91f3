//! From a decoded frame to an encoded answer: one file for each API key.
//!
//! Each file declares its key and versions as `API` and answers in `handle`, a plain function from [`Context`] and
//! request to response. To add one: write the file, add its line to `apis!` below. What is not in that list is
//! answered by [`refused`], with an error and not with a closed connection.

use std::future::Future;
use std::pin::Pin;

use protocol::codec::{EncodeError, Message, Request};
use protocol::{ApiKey, DecodeError, Decoder, Slices, frame};

use crate::context::Context;

mod api_versions;

/// An API and the versions of it that are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// The key.
    pub key: ApiKey,
    /// Lowest version advertised.
    pub min: i16,
    /// Highest version advertised.
    pub max: i16,
}

impl Api {
    /// An API with the versions that its file declares.
    #[must_use]
    pub const fn new(key: ApiKey, min: i16, max: i16) -> Api {
        Api { key, min, max }
    }
}

/// Why no answer could be made. The connection is closed after one log line.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The body is not what its version says; nothing behind it can be trusted.
    #[error("the body of a {key} request (version {version}) is malformed")]
    Malformed {
        /// What was asked.
        key: ApiKey,
        /// In which version.
        version: i16,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// Our answer does not fit its version: a bug of ours.
    #[error("the answer to a {key} request (version {version}) cannot be encoded")]
    Unencodable {
        /// What was asked.
        key: ApiKey,
        /// In which version.
        version: i16,
        /// Which field.
        #[source]
        source: EncodeError,
    },
}

/// The bytes to send, `None` if the request wants no answer.
pub type Answer = Result<Option<Slices>, Failure>;

/// A request on its way to an answer.
pub type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Which request an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// What was asked.
    pub key: ApiKey,
    /// In which version.
    pub version: i16,
    /// What the answer repeats.
    pub correlation_id: i32,
}

async fn answer<Q, H>(ctx: Context, call: Call, mut input: Decoder, handle: H) -> Answer
where
    Q: Request,
    H: AsyncFnOnce(&Context, Q) -> Q::Response,
{
    let request = Q::decode(&mut input, call.version).map_err(|source| Failure::Malformed {
        key: call.key,
        version: call.version,
        source,
    })?;
    drop(input);
    let response = handle(&ctx, request).await;
    encode(call, &response).map(Some)
}

fn encode(call: Call, response: &impl Message) -> Result<Slices, Failure> {
    let unencodable = |source| Failure::Unencodable { key: call.key, version: call.version, source };
    let mut out = frame::response(call.key, call.version, call.correlation_id).map_err(unencodable)?;
    response.encode(&mut out, call.version).map_err(unencodable)?;
    Ok(out.finish())
}

macro_rules! apis {
    ($($key:ident => $module:ident,)*) => {
        /// Every API that is answered, in the order of the keys.
        pub const SERVED: &[Api] = &[$($module::API),*];

        /// Starts answering a request. Each API's future has a box of its own size, so that an idle connection does
        /// not pay for the largest.
        #[must_use]
        pub fn dispatch(ctx: Context, call: Call, input: Decoder) -> Answering {
            match call.key {
                $(ApiKey::$key => Box::pin(answer(ctx, call, input, $module::handle)),)*
                _ => Box::pin(std::future::ready(Ok(None))),
            }
        }
    };
}

apis! {
    ApiVersions => api_versions,
}
