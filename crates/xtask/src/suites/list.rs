//! Which tests must pass: the lists in `tests/suites`, and what they make of results.
//!
//! One test a line, its name after one of three words:
//!
//! - `passing`: it must pass.
//! - `not-yet`: it fails or is skipped; the rest of the line says why and what will bring it. If it passes, the line is
//!   to be moved up, and stays up.
//! - `either`: its outcome says nothing about the broker; the rest of the line says why (Apache Kafka fails it too,
//!   upstream does not run it, it measures how busy the machine is).
//!
//! A test on no list is a failure, so that a new version of a suite is looked at and not only run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use super::result::{Outcome, TestResult};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Passing,
    NotYet,
    Either,
}

/// A suite's list.
#[derive(Debug)]
pub(super) struct List {
    tests: BTreeMap<String, Expected>,
}

/// What a run means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    ran: usize,
    passed: usize,
    must_pass: usize,
    not_yet: usize,
    either: usize,
    /// Listed as passing, and failed or was skipped.
    broken: Vec<String>,
    /// Listed as passing, and did not run.
    absent: Vec<String>,
    /// On no list.
    unknown: Vec<String>,
    /// Listed as not yet passing, and passed.
    move_up: Vec<String>,
}

impl List {
    pub(super) fn read(path: &Path) -> anyhow::Result<List> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        List::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<List> {
        let mut tests = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.splitn(3, char::is_whitespace);
            let (word, name, reason) = (words.next(), words.next(), words.next().unwrap_or("").trim());
            let name = name.with_context(|| format!("`{line}` names no test"))?;
            let expected = match word {
                Some("passing") => Expected::Passing,
                Some("not-yet") => Expected::NotYet,
                Some("either") => Expected::Either,
                _ => bail!("`{line}` begins with none of passing, not-yet, either"),
            };
            ensure!(expected == Expected::Passing || !reason.is_empty(), "`{line}` gives no reason");
            ensure!(tests.insert(name.to_owned(), expected).is_none(), "`{name}` is listed twice");
        }
        Ok(List { tests })
    }

    /// What to call an outcome.
    pub(super) fn word(&self, name: &str, outcome: Outcome) -> &'static str {
        match (self.tests.get(name), outcome) {
            (Some(_), Outcome::Passed) => "pass",
            (Some(Expected::Passing), _) => "FAIL",
            (Some(Expected::NotYet), _) => "not yet",
            (Some(Expected::Either), Outcome::Failed) => "fail, and no matter",
            (Some(Expected::Either), Outcome::Skipped) => "skip",
            (None, _) => "UNKNOWN",
        }
    }

    /// The tests that must pass and did not.
    pub(super) fn broken(&self, results: &[TestResult]) -> Vec<String> {
        let must = |name: &String| self.tests.get(name) == Some(&Expected::Passing);
        let broken = results.iter().filter(|it| it.outcome != Outcome::Passed && must(&it.name));
        broken.map(|result| result.name.clone()).collect()
    }

    /// Judges results; `whole` if every test of the suite was to run.
    pub(super) fn judge(&self, results: &[TestResult], whole: bool) -> Verdict {
        let mut verdict = Verdict { ran: results.len(), ..Verdict::default() };
        for result in results {
            let TestResult { name, outcome, why } = result;
            let passed = *outcome == Outcome::Passed;
            verdict.passed += usize::from(passed);
            match self.tests.get(name) {
                None => verdict.unknown.push(name.clone()),
                Some(Expected::Passing) if !passed => verdict.broken.push(format!("{name} ({why})")),
                Some(Expected::NotYet) if passed => verdict.move_up.push(name.clone()),
                Some(_) => {}
            }
        }
        let ran = |name: &str| results.iter().any(|result| result.name == name);
        for (name, expected) in &self.tests {
            if !whole && !ran(name) {
                continue;
            }
            match expected {
                Expected::Passing => {
                    verdict.must_pass += 1;
                    if !ran(name) {
                        verdict.absent.push(name.clone());
                    }
                }
                Expected::NotYet => verdict.not_yet += 1,
                Expected::Either => verdict.either += 1,
            }
        }
        verdict
    }
}

impl Verdict {
    pub(super) fn is_good(&self) -> bool {
        self.broken.is_empty() && self.absent.is_empty() && self.unknown.is_empty() && self.ran > 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.must_pass - self.broken.len() - self.absent.len();
        write!(f, "{} passed; {kept} of {} that must", self.passed, self.must_pass)?;
        write!(f, ", {} not yet, {} that say nothing", self.not_yet, self.either)?;
        for (what, names) in [
            ("listed as passing and failed", &self.broken),
            ("listed as passing and did not run", &self.absent),
            ("on no list", &self.unknown),
            ("pass now, move them up", &self.move_up),
        ] {
            if !names.is_empty() {
                write!(f, "\n  {what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const LIST: &str = "
        # a comment
        passing good
        passing shaky
        passing lost
        not-yet later  transactions (roadmap: cluster)
        either upstream  fails on Apache Kafka, too
    ";

    fn check(results: &[(&str, Outcome)], whole: bool, good: bool, expected: Expect) {
        let results: Vec<TestResult> = results
            .iter()
            .map(|(name, outcome)| TestResult {
                name: (*name).to_owned(),
                outcome: *outcome,
                why: "line 7".to_owned(),
            })
            .collect();
        let verdict = List::parse(LIST).expect("a good list").judge(&results, whole);
        expected.assert_eq(&verdict.to_string());
        assert_eq!(verdict.is_good(), good);
    }

    #[test]
    fn as_listed_is_good() {
        check(
            &[
                ("good", Outcome::Passed),
                ("shaky", Outcome::Passed),
                ("lost", Outcome::Passed),
                ("later", Outcome::Skipped),
                ("upstream", Outcome::Failed),
            ],
            true,
            true,
            expect!["3 passed; 3 of 3 that must, 1 not yet, 1 that say nothing"],
        );
    }

    #[test]
    fn everything_else_is_named() {
        check(
            &[
                ("good", Outcome::Passed),
                ("shaky", Outcome::Failed),
                ("later", Outcome::Passed),
                ("new", Outcome::Passed),
            ],
            true,
            false,
            expect![[r#"
                3 passed; 1 of 3 that must, 1 not yet, 1 that say nothing
                  listed as passing and failed: shaky (line 7)
                  listed as passing and did not run: lost
                  on no list: new
                  pass now, move them up: later"#]],
        );
    }

    #[test]
    fn a_part_of_a_suite_misses_nothing() {
        check(
            &[("good", Outcome::Passed)],
            false,
            true,
            expect!["1 passed; 1 of 1 that must, 0 not yet, 0 that say nothing"],
        );
    }

    #[test]
    fn nothing_run_is_nothing_proved() {
        assert!(!List::parse(LIST).expect("a good list").judge(&[], false).is_good());
    }

    #[test]
    fn lists_without_reasons_or_with_repetitions_are_refused() {
        for (text, error) in [
            ("not-yet a", "`not-yet a` gives no reason"),
            ("passing a\npassing a", "`a` is listed twice"),
            ("passed a", "`passed a` begins with none of passing, not-yet, either"),
        ] {
            assert_eq!(List::parse(text).expect_err("bad").to_string(), error);
        }
    }
}
