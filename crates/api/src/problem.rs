//! Errors of the API: which kind, and what happened this time. The only file that knows how the domain's problems and
//! HTTP's go together.

pub mod registry;
pub mod render;

use axum::response::{IntoResponse, Response};
use model::Generation;

use self::registry::Kind;

/// A request that did not get what it asked for.
///
/// As a response it is a bare status with the problem attached; the front's renderer ([`render`]) writes the body,
/// since only there both the front's form and the request's id are known.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: &'static Kind,
    detail: String,
    /// For the log only.
    private_detail: Option<String>,
    field: Option<String>,
    current_generation: Option<Generation>,
    retry_after_seconds: Option<u32>,
}

impl Problem {
    /// A problem of this kind; `detail` is read by the caller.
    #[must_use]
    pub fn new(kind: &'static Kind, detail: String) -> Problem {
        Problem {
            kind,
            detail,
            private_detail: None,
            field: None,
            current_generation: None,
            retry_after_seconds: None,
        }
    }

    /// Adds what only the log may say.
    #[must_use]
    pub fn with_private_detail(self, private_detail: String) -> Problem {
        Problem { private_detail: Some(private_detail), ..self }
    }

    /// Adds the field of the request that is to blame.
    #[must_use]
    pub fn with_field(self, field: &str) -> Problem {
        Problem { field: Some(field.to_owned()), ..self }
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// What happened this time.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<control::Problem> for Problem {
    fn from(problem: control::Problem) -> Problem {
        use control::Problem as Domain;
        let kind = match &problem {
            Domain::Unauthenticated => &registry::UNAUTHENTICATED,
            Domain::NotFound { .. } => &registry::NOT_FOUND,
            Domain::Gone { .. } => &registry::GONE,
            Domain::NameTaken { .. } => &registry::NAME_TAKEN,
            Domain::Invalid { .. } => &registry::INVALID,
            Domain::UnknownPlan { .. } => &registry::UNKNOWN_PLAN,
            Domain::LimitExceeded { .. } => &registry::LIMIT_EXCEEDED,
            Domain::GenerationConflict { .. } => &registry::GENERATION_CONFLICT,
            Domain::IdempotencyConflict { .. } => &registry::IDEMPOTENCY_CONFLICT,
            Domain::Busy { .. } => &registry::BUSY,
            Domain::NotReady { .. } => &registry::NOT_READY,
            Domain::Unsupported { .. } => &registry::UNSUPPORTED,
            Domain::Refused { .. } => &registry::REFUSED,
            Domain::Unavailable { .. } => &registry::UNAVAILABLE,
            Domain::Internal { .. } => &registry::INTERNAL,
        };
        Problem {
            kind,
            detail: problem.to_string(),
            private_detail: problem.private_detail().map(str::to_owned),
            field: match &problem {
                Domain::Invalid { field, .. } => Some((*field).to_owned()),
                Domain::UnknownPlan { .. } => Some("plan".to_owned()),
                _ => None,
            },
            current_generation: match &problem {
                Domain::GenerationConflict { current } => Some(*current),
                _ => None,
            },
            retry_after_seconds: problem.retry_after_seconds(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
