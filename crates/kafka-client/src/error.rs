//! What can go wrong, by what the caller can do about it.

use protocol::{ApiKey, ErrorCode};

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No broker could be reached. Wait and try again.
    #[error("no broker can be reached: {tried}")]
    Unreachable {
        /// Each address with the reason.
        tried: String,
    },
    /// The connection broke while the call was on its way, so the broker may have done it or not.
    #[error("the connection to {peer} was lost: {reason}")]
    ConnectionLost {
        /// Host and port.
        peer: String,
        /// What the transport says.
        reason: String,
    },
    /// The broker did not answer in time, so it may have done it or not.
    #[error("{peer} did not answer {api} within {timeout_ms} ms")]
    TimedOut {
        /// Host and port.
        peer: String,
        /// What was asked.
        api: ApiKey,
        /// How long it had.
        timeout_ms: u128,
    },
    /// The broker answered that it will not, or not now.
    #[error("{what}: {refusal}")]
    Refused {
        /// What was asked, in words.
        what: String,
        /// What the broker says.
        refusal: Refusal,
    },
    /// The configuration of the client is wrong. Fix it.
    #[error("{what} cannot be used: {reason}")]
    Config {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Broker and client have no version of the call in common that can express it.
    #[error("{peer} does not offer {api} in a version that can express this call: {reason}")]
    Unsupported {
        /// Host and port.
        peer: String,
        /// What was asked.
        api: ApiKey,
        /// Which versions it offers, or what they lack.
        reason: String,
    },
    /// The broker sent something that is not an answer. Report it.
    #[error("{peer} answered {api} with something that makes no sense: {reason}")]
    Nonsense {
        /// Host and port.
        peer: String,
        /// What was asked.
        api: ApiKey,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retriable(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::ConnectionLost { .. } | Error::TimedOut { .. } => true,
            Error::Refused { refusal, .. } => refusal.code.is_retriable(),
            Error::Config { .. } | Error::Unsupported { .. } | Error::Nonsense { .. } => false,
        }
    }

    /// The broker's error code, if it is the broker that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Refused { refusal, .. } => Some(refusal.code),
            _ => None,
        }
    }

    pub(crate) fn refused(what: impl Into<String>, refusal: Refusal) -> Error {
        Error::Refused { what: what.into(), refusal }
    }
}

/// A broker's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Kafka's code.
    pub code: ErrorCode,
    /// The broker's explanation, if it gave one.
    pub message: Option<String>,
}

impl Refusal {
    /// Nothing if the code says that all is well.
    pub(crate) fn check(code: i16, message: Option<&protocol::Str>) -> Result<(), Refusal> {
        let code = ErrorCode::from(code);
        if code.is_none() {
            return Ok(());
        }
        Err(Refusal { code, message: message.map(|text| text.to_string()) })
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{message} ({})", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}
