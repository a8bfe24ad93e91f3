//! One request to the API server: bounded in time, repeated where that helps, and its failure sorted by what does.

use std::future::Future;
use std::time::Duration;

use agent::DispatchError;
use kube::Error;
use thiserror::Error as ThisError;

use crate::Metrics;

/// How long one request may take. The API server itself gives up on etcd after some seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How often something is tried before the caller learns that it does not work now. The caller comes again by itself;
/// this only rides over what passes in a moment, such as a leader election of etcd or a full queue.
pub(crate) const ATTEMPTS: u32 = 4;

/// The pause after the first attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause, also where the server asks for a longer one: the caller has other clusters to look after.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A request that was not answered with what was asked for.
#[derive(Debug, ThisError)]
pub(crate) enum Failure {
    /// There is no such object, namespace or resource.
    #[error("not found")]
    Absent(#[source] Error),
    /// Somebody else wrote in between.
    #[error("somebody else wrote in between")]
    Conflict(#[source] Error),
    /// The server does not want to, and will not another time.
    #[error("the API server refuses")]
    Refused(#[source] Error),
    /// No answer, or one that says "later".
    #[error("the API server does not answer")]
    Later {
        /// What the server asks for.
        after: Option<Duration>,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Makes one request.
pub(crate) async fn once<T>(
    metrics: &Metrics,
    verb: &'static str,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    let outcome = match tokio::time::timeout(ANSWER_WITHIN, request).await {
        Ok(outcome) => outcome.map_err(sort),
        Err(_) => Err(Failure::Later {
            after: None,
            source: format!("no answer within {} s", ANSWER_WITHIN.as_secs()).into(),
        }),
    };
    metrics.answered(verb, outcome.as_ref().err());
    outcome
}

fn sort(error: Error) -> Failure {
    let Error::Api(status) = &error else {
        return Failure::Later { after: None, source: error.into() };
    };
    match status.code {
        404 => Failure::Absent(error),
        409 => Failure::Conflict(error),
        429 | 500.. => {
            let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            let after = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
            Failure::Later { after, source: said(&error).into() }
        }
        _ => Failure::Refused(error),
    }
}

impl Failure {
    /// How long to wait before the next attempt; none if another is of no use.
    pub(crate) fn pause(&self, attempt: u32) -> Option<Duration> {
        let usual = FIRST_PAUSE * 2u32.pow(attempt.min(10));
        match self {
            Failure::Absent(_) | Failure::Refused(_) => None,
            Failure::Conflict(_) => Some(usual.min(LONGEST_PAUSE)),
            Failure::Later { after, .. } => Some(after.unwrap_or(usual).min(LONGEST_PAUSE)),
        }
    }

    /// What the platform is told. `step` says what was being done.
    pub(crate) fn told(self, step: String) -> DispatchError {
        match self {
            Failure::Absent(error) => DispatchError::Refused {
                message: format!(
                    "{step}: the API server knows no such namespace or resource ({}); make the namespace, and install the custom resources with the chart penstock-operator",
                    said(&error)
                ),
            },
            Failure::Refused(error) => DispatchError::Refused {
                message: match &error {
                    Error::Api(status) if status.is_forbidden() => {
                        format!("{step}: {}; grant it with the role of the chart penstock", said(&error))
                    }
                    _ => format!("{step}: {}", said(&error)),
                },
            },
            Failure::Conflict(error) => DispatchError::Unavailable { step, source: error.into() },
            Failure::Later { source, .. } => DispatchError::Unavailable { step, source },
        }
    }
}

/// What the server said, without the words of the client around it.
pub(crate) fn said(error: &Error) -> String {
    match error {
        Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}
