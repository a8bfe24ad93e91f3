//! Why a call failed, by what the caller can do about it.

use thiserror::Error;

/// A call that did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with a problem.
    #[error("{}", .0.detail)]
    Problem(Box<api_types::Problem>),
    /// The server was not reached, or the connection broke, in each of several tries.
    #[error("{address} does not answer: {why}")]
    Unreachable {
        /// The API's address.
        address: String,
        /// The innermost cause, in words.
        why: String,
    },
    /// Something answered that is not a Penstock of a release that this one understands.
    #[error("{address} answered what no Penstock of this release answers: {what}")]
    Foreign {
        /// The API's address.
        address: String,
        /// What was answered.
        what: String,
    },
    /// The address, the token or the CA certificate cannot be used.
    #[error("{0}")]
    Setup(String),
}

impl Error {
    /// The problem's code, if the server answered with a problem.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }
}

/// The innermost cause: the outer ones only say that a request failed.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
