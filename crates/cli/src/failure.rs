//! Why a command failed: what, why, what to do, and the exit code that goes with it.

use std::process::ExitCode;

use client::Error;
use serde_json::json;

use crate::output::Output;

/// Exit codes. 2 is also what the argument parser ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    NotAllowed = 4,
    Conflict = 5,
    StillWaiting = 6,
    Refused = 7,
    Unreachable = 8,
    Interrupted = 130,
}

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    code: String,
    what: String,
    why: Option<String>,
    advice: Option<String>,
    see: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, what: impl Into<String>) -> Failure {
        Failure { exit, code: code.to_owned(), what: what.into(), why: None, advice: None, see: None }
    }

    pub(crate) fn why(self, why: impl Into<String>) -> Failure {
        Failure { why: Some(why.into()), ..self }
    }

    pub(crate) fn advice(self, advice: impl Into<String>) -> Failure {
        Failure { advice: Some(advice.into()), ..self }
    }

    /// Something that no command expects.
    pub(crate) fn internal(error: anyhow::Error) -> Failure {
        let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        let failure = Failure::new(Exit::Failed, "failed", error.to_string());
        if causes.is_empty() { failure } else { failure.why(causes.join(": ")) }
    }

    pub(crate) fn interrupted() -> Failure {
        Failure::new(Exit::Interrupted, "interrupted", "stopped watching; what was asked for goes on")
    }

    /// Says it, and gives the exit code.
    pub(crate) fn report(&self, output: &Output) -> ExitCode {
        if output.is_json() {
            let body = json!({ "code": self.code, "what": self.what, "why": self.why, "do": self.advice, "see": self.see });
            output.complain(&format!("{body}\n"));
        } else {
            let mut words = format!("error[{}]: {}\n", self.code, self.what);
            for (label, text) in [("why", &self.why), ("do", &self.advice), ("see", &self.see)] {
                if let Some(text) = text {
                    words.push_str(&format!("  {label}: {text}\n"));
                }
            }
            output.complain(&words);
        }
        ExitCode::from(self.exit as u8)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Problem(problem) => {
                let exit = match (problem.status, problem.code.as_str()) {
                    (_, "limit-exceeded") => Exit::Refused,
                    (401 | 403, _) => Exit::NotAllowed,
                    (404 | 410, _) => Exit::NotFound,
                    (409 | 412, _) => Exit::Conflict,
                    (400 | 422, _) => Exit::Usage,
                    (503 | 504, _) => Exit::Unreachable,
                    _ => Exit::Failed,
                };
                let failure = Failure::new(exit, &problem.code, problem.detail).advice(problem.advice);
                Failure { see: Some(format!("request {}", problem.request_id)), ..failure }
            }
            Error::Unreachable { address, why } => {
                Failure::new(Exit::Unreachable, "unreachable", format!("{address} does not answer"))
                    .why(why)
                    .advice("check that it runs: `penstock up` starts the one on this machine")
            }
            Error::Foreign { address, what } => {
                Failure::new(Exit::Failed, "not-understood", format!("{address} gave an answer that this release does not understand"))
                    .why(what)
                    .advice("compare the releases of penstock and of the server")
            }
            Error::Setup(what) => Failure::new(Exit::Usage, "setup", what),
            other => Failure::new(Exit::Failed, "failed", other.to_string()),
        }
    }
}
