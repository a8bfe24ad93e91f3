//! What can go wrong, sorted by who can help.

use std::time::Duration;

use agent::SubstrateError;
use crd::intent::Invalid;
use keyring::pki::PkiError;
use model::Reason;
use thiserror::Error;

/// Pauses after failures in a row: soon at first, since most pass; then so rarely that a hundred broken clusters cost
/// some requests a second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Something failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The object cannot be followed as it is written.
    #[error("the spec cannot be followed: {0}")]
    Spec(#[from] Invalid),
    /// The object is none that this operator understands.
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    /// A request to the API server failed.
    #[error("could not {step}")]
    Api {
        /// What was being done.
        step: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// An object with a name that we need belongs to somebody else.
    #[error("{what} exists and does not belong to this cluster; {advice}")]
    Foreign {
        /// Kind and name.
        what: String,
        /// What to do.
        advice: &'static str,
        /// Whether it is what is left of another cluster of ours, which goes by itself.
        passes: bool,
    },
    /// A certificate could not be made.
    #[error("could not make a certificate")]
    Pki(#[from] PkiError),
    /// Something has to happen first.
    #[error("{0}")]
    Waiting(String),
    /// It took too long.
    #[error("{what} took longer than {} s", limit.as_secs())]
    Slow {
        /// What.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
}

/// Who can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nobody needs to: it is on its way.
    Waiting,
    /// Nobody needs to: it passes.
    Transient,
    /// Whoever runs Kubernetes and the operator.
    Terminal,
    /// Whoever wrote the object.
    User,
}

impl Class {
    /// The word in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Waiting => "waiting",
            Class::Transient => "transient",
            Class::Terminal => "terminal",
            Class::User => "user",
        }
    }
}

impl Error {
    /// A failed request.
    pub fn api(step: impl Into<String>, source: kube::Error) -> Error {
        Error::Api { step: step.into(), source: Box::new(source) }
    }

    /// Who can help.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Error::Spec(_) | Error::Unreadable(_) => Class::User,
            Error::Foreign { passes: true, .. } | Error::Waiting(_) => Class::Waiting,
            Error::Foreign { passes: false, .. } => Class::User,
            Error::Pki(_) => Class::Terminal,
            Error::Slow { .. } => Class::Transient,
            Error::Api { source, .. } => match &**source {
                kube::Error::Api(status) => match status.code {
                    // Its namespace goes, and the cluster with it.
                    403 if is_ending(&status.message) => Class::Waiting,
                    // The object is wrong in a way that only the server knows: a quota, a policy, a value.
                    400 | 403 | 422 => Class::Terminal,
                    _ => Class::Transient,
                },
                _ => Class::Transient,
            },
        }
    }

    /// The whole chain of causes as one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Error::Api { step, source } => match &**source {
                // What the server says is a sentence; kube's own text repeats it with every field.
                kube::Error::Api(status) => {
                    format!("could not {step}: {}{}", status.message, advice(status.code, &status.message))
                }
                other => format!("could not {step}: {other}"),
            },
            Error::Pki(source) => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }

    /// How long until the next try, after so many failures in a row.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
        match self.class() {
            Class::Waiting => FIRST_PAUSE,
            Class::Transient => doubled,
            // A change of the object wakes us; this is for what changes elsewhere.
            Class::Terminal | Class::User => LONGEST_PAUSE,
        }
    }

    /// Whether the server said that something is not there.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Error::Api { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 409))
    }
}

/// The whole chain of causes, each once: kube repeats a cause in its text now and then.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}

/// Whether the server refuses because a namespace is being deleted.
fn is_ending(message: &str) -> bool {
    message.contains("because it is being terminated")
}

fn advice(code: u16, message: &str) -> &'static str {
    match code {
        403 if is_ending(message) => "",
        403 if message.contains("cannot") => "; give the operator's role this right (its chart does)",
        403 => "; change the quota or policy, or ask for less",
        _ => "",
    }
}

impl From<Error> for SubstrateError {
    fn from(error: Error) -> SubstrateError {
        match error.class() {
            Class::Terminal | Class::User => {
                SubstrateError::Blocked { reason: Reason::BadConfiguration, message: error.sentence() }
            }
            Class::Waiting | Class::Transient => match error {
                Error::Api { step, source } => match *source {
                    kube::Error::Api(status) => {
                        SubstrateError::transient(format!("could not {step}"), status.message)
                    }
                    other => SubstrateError::transient(format!("could not {step}"), other),
                },
                other => SubstrateError::transient(other.sentence(), "it is tried again"),
            },
        }
    }
}
