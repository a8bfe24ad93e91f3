//! What can go wrong in a use case, by what the caller can do about it. Knows no HTTP: one file of each front maps it.
//!
//! `Display` is the public sentence. What only the platform's own people may read is in [`Problem::private_detail`].

use model::Generation;
use store::StoreError;
use thiserror::Error;

/// When to try again if the database or the brokers are away: long enough for a restart of either.
const RETRY_AWAY_SECONDS: u32 = 3;

/// A use case that did not happen.
#[derive(Debug, Error)]
pub enum Problem {
    /// No token, or none that is known.
    #[error("the API token is missing, unknown or revoked")]
    Unauthenticated,
    /// There is none, or it belongs to somebody else.
    #[error("there is no {what} {reference:?}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// What was asked for.
        reference: String,
    },
    /// It was the caller's and has been removed.
    #[error("{what} {reference:?} has been removed")]
    Gone {
        /// What kind of thing.
        what: &'static str,
        /// What was asked for.
        reference: String,
    },
    /// Another one has the name.
    #[error("there already is {article} {what} named {name:?}", article = article(what))]
    NameTaken {
        /// What kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Something in the request cannot be.
    #[error("{field}: {message}")]
    Invalid {
        /// Which part of the request.
        field: &'static str,
        /// What is wrong with it and what would be right.
        message: String,
    },
    /// The plan is not offered.
    #[error("there is no plan {name:?}; plans are {}", known.join(", "))]
    UnknownPlan {
        /// What was asked for.
        name: String,
        /// What is offered.
        known: Vec<String>,
    },
    /// The plan does not allow so much.
    #[error("{message}")]
    LimitExceeded {
        /// Which limit, for programs.
        limit: &'static str,
        /// What the plan allows.
        allowed: i64,
        /// What there would be.
        asked: i64,
        /// The same as a sentence.
        message: String,
    },
    /// It has changed since the caller looked.
    #[error("it has changed meanwhile: its generation is {current} now")]
    GenerationConflict {
        /// Its generation now.
        current: Generation,
    },
    /// The key was used for something else.
    #[error("the idempotency key {key:?} was used for another request")]
    IdempotencyConflict {
        /// The key.
        key: String,
    },
    /// A change of the same thing is under way.
    #[error("{message}")]
    Busy {
        /// Which, and what ends it.
        message: String,
    },
    /// It cannot be used yet, or not any more.
    #[error("{message}")]
    NotReady {
        /// Why.
        message: String,
        /// When it may be.
        retry_after_seconds: u32,
    },
    /// Possible in principle, and not here.
    #[error("{message}")]
    Unsupported {
        /// What, and what to do instead.
        message: String,
    },
    /// The brokers understood the request and refused it.
    #[error("the brokers refused: {message}")]
    Refused {
        /// What they said.
        message: String,
    },
    /// A part of the platform is away.
    #[error("the {what} cannot be reached at the moment")]
    Unavailable {
        /// Which.
        what: &'static str,
        /// When to try again.
        retry_after_seconds: u32,
        /// Why, for the log.
        detail: String,
    },
    /// A defect.
    #[error("an internal error has happened; it has been logged")]
    Internal {
        /// What, for the log.
        detail: String,
    },
}

impl Problem {
    /// What the log may say beyond the public sentence.
    #[must_use]
    pub fn private_detail(&self) -> Option<&str> {
        match self {
            Problem::Unavailable { detail, .. } | Problem::Internal { detail } => Some(detail),
            _ => None,
        }
    }

    /// When trying the same again may help, if waiting is all that is needed.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Problem::NotReady { retry_after_seconds, .. }
            | Problem::Unavailable { retry_after_seconds, .. } => Some(*retry_after_seconds),
            Problem::Busy { .. } => Some(1),
            _ => None,
        }
    }

    /// What to do next, as a sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Problem::Unauthenticated => "Send a valid token as `Authorization: Bearer <token>`.",
            Problem::NotFound { .. } => "Check the name or id, and that the token is of the right account.",
            Problem::Gone { .. } => "Create a new one if it is still needed.",
            Problem::NameTaken { .. } => "Choose another name.",
            Problem::Invalid { .. } => "Correct the request and send it again.",
            Problem::UnknownPlan { .. } => "Choose one of the plans that are listed.",
            Problem::LimitExceeded { .. } => "Ask for less, remove something, or move to a larger plan.",
            Problem::GenerationConflict { .. } => "Read it again and decide on what it is now.",
            Problem::IdempotencyConflict { .. } => "Use a new key for a new request.",
            Problem::Busy { .. } => "Wait until it is finished, then send the request again.",
            Problem::NotReady { .. } => "Wait until the operation is finished, then send the request again.",
            Problem::Unsupported { .. } => "Do without, or choose a plan that has it.",
            Problem::Refused { .. } => "Change the request as the message says.",
            Problem::Unavailable { .. } => "Send the same request again after the time that is given.",
            Problem::Internal { .. } => "Report the request id to whoever runs the platform.",
        }
    }

    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Problem {
        Problem::Invalid { field, message: message.into() }
    }

    pub(crate) fn not_found(what: &'static str, reference: impl ToString) -> Problem {
        Problem::NotFound { what, reference: reference.to_string() }
    }

    pub(crate) fn brokers_away(detail: impl Into<String>) -> Problem {
        Problem::Unavailable {
            what: "brokers",
            retry_after_seconds: RETRY_AWAY_SECONDS,
            detail: detail.into(),
        }
    }

    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Problem {
        Problem::Internal { detail: chain(error) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        if error.is_unavailable() || matches!(error, StoreError::Contended(_)) {
            Problem::Unavailable {
                what: "database",
                retry_after_seconds: RETRY_AWAY_SECONDS,
                detail: chain(&error),
            }
        } else {
            Problem::internal(&error)
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_sentences_hold_no_private_detail() {
        let problem = Problem::Internal { detail: "password of 10.0.0.7".to_owned() };
        assert!(!problem.to_string().contains("10.0.0.7"));
        assert_eq!(problem.private_detail(), Some("password of 10.0.0.7"));
        let taken = Problem::NameTaken { what: "app", name: "shop".to_owned() };
        assert_eq!(taken.to_string(), "there already is an app named \"shop\"");
    }
}
