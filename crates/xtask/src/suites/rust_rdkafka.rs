//! The integration tests of rust-rdkafka: the crate `rdkafka` with a librdkafka of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use super::broker::Broker;
use super::result::TestResult;
use super::{Setting, limit};
use crate::{install, run};

const VERSION: &str = "0.39.0";

/// Which behaviour the tests are told to expect.
const KAFKA_VERSION: &str = "4.3.1";

/// The longest test takes about ten seconds; those that wait for transactions in vain take all of it.
const LIMIT_SECONDS: u32 = 60;

/// Where a line for each test program is kept: its name and its path.
const PROGRAMS: &str = "programs.txt";

pub(super) fn run(setting: &Setting<'_>) -> anyhow::Result<Vec<TestResult>> {
    let installed = install::once(&format!("rust-rdkafka-{VERSION}"), build)?;
    // The tests count the partitions of topics that they let be made.
    let broker = Broker::start(setting.broker, setting.scratch, "broker", &["num.partitions=3"])?;
    let programs = fs::read_to_string(installed.join(PROGRAMS))?;
    let mut results = Vec::new();
    for line in programs.lines() {
        let (program, path) = line.split_once(' ').context("a line of programs.txt has no path")?;
        let list = run::output(std::process::Command::new(path).arg("--list").stderr(Stdio::null()))?;
        for test in list.lines().filter_map(|line| line.strip_suffix(": test")) {
            let name = format!("{program}::{test}");
            // The helpers that the programs share have a test, and so each program has it once more, and one by itself.
            if name.contains("utils::") || !setting.filter.wants(&name) {
                continue;
            }
            let mut command = limit::limited(LIMIT_SECONDS, path);
            command.args(["--exact", test, "--test-threads=1", "--nocapture"]).current_dir(&installed);
            command.env("KAFKA_HOST", &broker.address).env("KAFKA_VERSION", KAFKA_VERSION);
            let log = setting.scratch.join(format!("{program}-{}.log", test.replace("::", "-")));
            let ended = limit::run(command.env("RUST_LOG", "off"), log)?;
            results.push(setting.note(&name, ended.outcome, ended.took, &ended.why));
        }
    }
    ensure!(!results.is_empty(), "no test of rust-rdkafka has such a name");
    Ok(results)
}

/// Fetches the sources, builds the test programs, and notes where they are.
fn build(dir: &Path) -> anyhow::Result<()> {
    install::crate_sources("rdkafka", VERSION, dir)?;
    // Two files do not ask for the address but know it.
    install::patch(
        &dir.join("tests/test_high_producers.rs"),
        "\"bootstrap.servers\", \"localhost\"",
        "\"bootstrap.servers\", get_bootstrap_server()",
    )?;
    install::patch(
        &dir.join("tests/test_metadata.rs"),
        "broker_metadata[0].port(), 9092",
        "Some(broker_metadata[0].port().to_string().as_str()), get_bootstrap_server().rsplit(':').next()",
    )?;
    let manifest = dir.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    if !text.contains("[workspace]") {
        fs::write(&manifest, format!("{text}\n[workspace]\n"))?;
    }
    let mut build = run::cargo(dir);
    build.args(["test", "--tests", "--no-run", "--quiet", "--message-format=json", "--target-dir", "target"]);
    let messages = run::output(build.stderr(Stdio::inherit()))?;
    let programs: Vec<String> = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|message| program(&message))
        .map(|(name, path)| format!("{name} {}\n", path.display()))
        .collect();
    ensure!(!programs.is_empty(), "cargo built no test program");
    fs::write(dir.join(PROGRAMS), programs.concat())?;
    Ok(())
}

/// Name and path of an integration test's program, if the message is about one.
fn program(message: &serde_json::Value) -> Option<(String, PathBuf)> {
    let target = &message["target"];
    let is_test = target["kind"].as_array()?.iter().any(|kind| kind == "test");
    let (name, path) = (target["name"].as_str()?, message["executable"].as_str()?);
    is_test.then(|| (name.to_owned(), path.into()))
}
