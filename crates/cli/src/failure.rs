//! Why a command failed: what, why, what to do, and the exit code that goes with it.

use std::process::ExitCode;

use client::Error;
use serde::Serialize;

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
    words: Box<Words>,
}

#[derive(Debug, Serialize)]
struct Words {
    code: String,
    what: String,
    why: Option<String>,
    #[serde(rename = "do")]
    advice: Option<String>,
    see: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, what: impl Into<String>) -> Failure {
        let words = Words { code: code.to_owned(), what: what.into(), why: None, advice: None, see: None };
        Failure { exit, words: Box::new(words) }
    }

    pub(crate) fn why(mut self, why: impl Into<String>) -> Failure {
        self.words.why = Some(why.into());
        self
    }

    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Failure {
        self.words.advice = Some(advice.into());
        self
    }

    fn see(mut self, see: String) -> Failure {
        self.words.see = Some(see);
        self
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
        let words = &self.words;
        if output.is_json() {
            let line = serde_json::to_string(words).unwrap_or_else(|_| words.what.clone());
            output.complain(&format!("{line}\n"));
        } else {
            let mut lines = format!("error[{}]: {}\n", words.code, words.what);
            for (label, text) in [("why", &words.why), ("do", &words.advice), ("see", &words.see)] {
                if let Some(text) = text {
                    lines.push_str(&format!("  {label}: {text}\n"));
                }
            }
            output.complain(&lines);
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
                Failure::new(exit, &problem.code, problem.detail)
                    .advice(problem.advice)
                    .see(format!("request {}", problem.request_id))
            }
            Error::Unreachable { address, why } => {
                Failure::new(Exit::Unreachable, "unreachable", format!("{address} does not answer"))
                    .why(why)
                    .advice("check that it runs: `penstock up` starts the one on this machine")
            }
            Error::Foreign { address, what } => Failure::new(
                Exit::Failed,
                "not-understood",
                format!("{address} gave an answer that this release does not understand"),
            )
            .why(what)
            .advice("compare the releases of penstock and of the server"),
            Error::Setup(what) => Failure::new(Exit::Usage, "setup", what),
            other => Failure::new(Exit::Failed, "failed", other.to_string()),
        }
    }
}
