//! What became of one test.

use std::time::Duration;

use crate::run;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    /// The suite itself decided that it does not apply.
    Skipped,
}

/// One test of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TestResult {
    /// Its name in the suite; without spaces.
    pub(super) name: String,
    pub(super) outcome: Outcome,
    /// Why it was skipped or failed, as far as the suite says.
    pub(super) why: String,
}

impl TestResult {
    /// Notes a result and shows it at once: suites take minutes.
    pub(super) fn new(name: &str, outcome: Outcome, took: Duration, why: &str) -> TestResult {
        let word = match outcome {
            Outcome::Passed => "pass",
            Outcome::Failed => "FAIL",
            Outcome::Skipped => "skip",
        };
        let comment = if why.is_empty() { String::new() } else { format!("  # {why}") };
        run::say(&format!("{word} {name} {:.1} s{comment}", took.as_secs_f64()));
        TestResult { name: name.to_owned(), outcome, why: why.to_owned() }
    }
}
