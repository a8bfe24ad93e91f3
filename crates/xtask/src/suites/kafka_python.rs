//! The integration tests of kafka-python, a client that shares no code with any other.
//!
//! They come in the source archive. The modules about SASL and TLS start brokers of their own by Apache's scripts and are
//! left out.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::broker::Broker;
use super::result::{Outcome, TestResult};
use super::{Setting, limit};
use crate::{install, run};

const VERSION: &str = "3.0.12";

/// What one test checks that the client finds out about the broker.
const KAFKA_VERSION: &str = "4.3";

/// For all tests together, which take half a minute.
const LIMIT_SECONDS: u32 = 600;

/// For one.
const TEST_LIMIT_SECONDS: &str = "90";

const MODULES: [&str; 3] = ["admin", "consumer", "producer"];

pub(super) fn run(setting: &Setting<'_>) -> anyhow::Result<Vec<TestResult>> {
    let pieces = setting.pieces.join("kafka-python");
    let requirements = fs::read(pieces.join("requirements.txt"))?;
    let name = testkit::installed::named_after(&format!("kafka-python-{VERSION}"), &requirements);
    let installed = install::once(&name, |dir| build(dir, &pieces))?;
    let broker = Broker::start(setting.broker, setting.scratch, "broker", &["num.partitions=4"])?;
    let report = setting.scratch.join("report.txt");
    fs::write(&report, "")?;
    let sources = installed.join("sources");
    // The tests look whether the folder of Apache's scripts is there, and never into it.
    let scripts = setting.scratch.join("kafka");
    fs::create_dir_all(scripts.join("bin"))?;

    let mut command = limit::limited(LIMIT_SECONDS, installed.join("python/bin/python"));
    command.args(["-m", "pytest", "--quiet", "-p", "report", "-p", "no:cacheprovider"]);
    // A traceback of pytest's own kind ends it on one test that recurses deeply.
    command.args(["--tb=native", "--timeout", TEST_LIMIT_SECONDS]);
    command.args(MODULES.map(|module| format!("test/integration/test_{module}_integration.py")));
    command.current_dir(&sources).env("REPORT", &report).env("KAFKA_ROOT", &scripts);
    command.env("PYTHONPATH", std::env::join_paths([sources.as_path(), pieces.as_path()])?);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(only) = &setting.filter.only {
        command.env("ONLY", only.as_str());
    }
    command.env("KAFKA_URI", format!("kafka://{}", broker.address)).env("KAFKA_VERSION", KAFKA_VERSION);
    let ended = limit::run(&mut command, setting.scratch.join("pytest.log"))?;
    let results: Vec<TestResult> = fs::read_to_string(&report)?
        .lines()
        .filter_map(parse)
        .map(|(name, outcome, took, why)| setting.note(&name, outcome, took, &why))
        .collect();
    ensure!(!results.is_empty(), "no test ran: {} (see {})", ended.why, ended.log.display());
    Ok(results)
}

fn build(dir: &Path, pieces: &Path) -> anyhow::Result<()> {
    let python = dir.join("python");
    run::run(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
    let pip = || {
        let mut pip = Command::new(python.join("bin/pip"));
        pip.args(["--quiet", "--disable-pip-version-check"]);
        pip
    };
    run::run(pip().args(["install", "--requirement"]).arg(pieces.join("requirements.txt")))?;
    let package = format!("kafka-python=={VERSION}");
    let archive = dir.join("archive");
    run::run(
        pip().args(["download", "--no-deps", "--no-binary", ":all:", &package, "--dest"]).arg(&archive),
    )?;
    let file = fs::read_dir(&archive)?.next().context("pip downloaded nothing")??.path();
    let sources = dir.join("sources");
    fs::create_dir(&sources)?;
    run::run(Command::new("tar").arg("-xzf").arg(file).args(["--strip-components=1", "-C"]).arg(&sources))?;
    // The archive lacks two files of the tests: one module, and what makes `test` a package of its own rather than
    // the standard library's.
    fs::copy(pieces.join("service.py"), sources.join("test/service.py"))?;
    fs::write(sources.join("test/__init__.py"), "")?;
    Ok(())
}

/// A line of the report: outcome, name, seconds, reason; tabs in between.
fn parse(line: &str) -> Option<(String, Outcome, Duration, String)> {
    let mut fields = line.splitn(4, '\t');
    let outcome = match fields.next()? {
        "passed" => Outcome::Passed,
        "failed" => Outcome::Failed,
        "skipped" => Outcome::Skipped,
        _ => return None,
    };
    let (name, seconds) = (fields.next()?, fields.next()?.parse().ok()?);
    Some((name.to_owned(), outcome, Duration::from_secs_f64(seconds), fields.next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_lines_keep_their_reasons() {
        let parsed = parse("failed\ttest_a.py::test_b[None]\t1.5\tAssertionError: no such");
        let expected = ("test_a.py::test_b[None]", Outcome::Failed, 1.5, "AssertionError: no such");
        let (name, outcome, seconds, why) = expected;
        assert_eq!(
            parsed,
            Some((name.to_owned(), outcome, Duration::from_secs_f64(seconds), why.to_owned()))
        );
        assert_eq!(parse("1 passed"), None);
    }
}
