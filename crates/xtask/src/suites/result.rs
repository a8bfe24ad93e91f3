//! What became of one test.

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
