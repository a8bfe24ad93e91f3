//! `cargo xtask suites`: tests that other people wrote for Kafka and for their clients, against our broker.
//!
//! A suite ([`Suite`]) fetches sources or jars from a package registry by the registry's own client, once a user, into
//! `~/.cache/penstock/suites`; starts brokers of the settings that it needs; runs its tests; and hands back a result for
//! each. What a result means is said by the lists in `tests/suites/*.list` and decided in [`list`]: which tests must
//! pass, and which do not yet, why, and what will bring them. The list of passing tests only grows.
//!
//! | suite | what | tests | first install | run |
//! | --- | --- | --- | --- | --- |
//! | `librdkafka` | its own tests, from the sources in the crate `rdkafka-sys` | 105 | 4 min | 12 min |
//! | `rust-rdkafka` | the integration tests in the crate `rdkafka` | 43 | 4 min | 3 min |
//! | `kafka-python` | the integration tests in the source archive | 56 | 20 s | 30 s |
//! | `java-tools` | cases over Apache Kafka's own tools, `tests/suites/java-tools` | 45 | 10 s | 10 min |
//!
//! `--smoke` is the part that every run of `cargo xtask test` can afford, on a machine that never ran it too: all of
//! kafka-python, and the [cases over Apache's tools](java_tools::SMOKE) that between them touch every kind of request
//! of an ordinary cluster. Both come as packages that need no compiling. The two suites over librdkafka would compile
//! for four minutes each before their first test; that library's way of talking to a broker is what `kcat` and
//! `confluent-kafka` do in the integration tests anyway.

mod broker;
mod java_tools;
mod kafka_python;
mod librdkafka;
mod limit;
mod list;
mod result;
mod rust_rdkafka;
mod side_by_side;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use regex::Regex;

use crate::run;
use list::List;
use result::{Outcome, TestResult};

/// Tests with timeouts of their own fail on a busy machine, and some have races between their own threads, so a few that
/// fail get a second chance by themselves. When more fail, it is the broker.
const TRIED_AGAIN_MAX: usize = 5;

/// Options of `cargo xtask suites`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which suites; all if none is named.
    names: Vec<String>,
    /// Only what takes two to three minutes.
    #[arg(long)]
    smoke: bool,
    /// Only tests whose name contains this regular expression.
    #[arg(long, value_name = "REGEX")]
    only: Option<String>,
    /// A broker that is there already, instead of one built with `--release`.
    #[arg(long, value_name = "FILE")]
    broker: Option<PathBuf>,
}

/// What a suite is given.
struct Setting<'a> {
    /// The broker's program.
    broker: &'a Path,
    /// The suite's own pieces: `tests/suites`.
    pieces: &'a Path,
    /// For data and logs of this run; logs of failed tests stay there.
    scratch: &'a Path,
    filter: &'a Filter,
    list: &'a List,
}

impl Setting<'_> {
    /// Notes a result and shows it at once: suites take minutes.
    fn note(&self, name: &str, outcome: Outcome, took: Duration, why: &str) -> TestResult {
        let word = self.list.word(name, outcome);
        let comment = if why.is_empty() { String::new() } else { format!("  # {why}") };
        run::say(&format!("{word} {name} {:.1} s{comment}", took.as_secs_f64()));
        TestResult { name: name.to_owned(), outcome, why: why.to_owned() }
    }
}

/// Which tests are wanted.
struct Filter {
    smoke: bool,
    only: Option<Regex>,
}

impl Filter {
    fn wants(&self, test: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(test))
    }
}

/// A suite: its name, programs it cannot do without, and the function that runs it.
struct Suite {
    name: &'static str,
    in_smoke: bool,
    needs: &'static [&'static str],
    run: fn(&Setting<'_>) -> anyhow::Result<Vec<TestResult>>,
}

const SUITES: &[Suite] = &[
    Suite { name: "kafka-python", in_smoke: true, needs: &["python3"], run: kafka_python::run },
    Suite { name: "java-tools", in_smoke: true, needs: &["java", "mvn", "bash"], run: java_tools::run },
    Suite { name: "rust-rdkafka", in_smoke: false, needs: &["cc", "make"], run: rust_rdkafka::run },
    Suite { name: "librdkafka", in_smoke: false, needs: &["cc", "make", "bash"], run: librdkafka::run },
];

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    for name in &options.names {
        let known = SUITES.iter().map(|suite| suite.name).collect::<Vec<_>>().join(", ");
        ensure!(SUITES.iter().any(|suite| suite.name == name), "there is no suite `{name}`, only {known}");
    }
    let only = options.only.as_deref().map(Regex::new).transpose().context("--only")?;
    let filter = Filter { smoke: options.smoke, only };
    let broker = match &options.broker {
        Some(file) => std::path::absolute(file)?,
        None => {
            run::run(run::cargo(root).args(["build", "--release", "--package", "broker"]))?;
            run::target_dir(root).join("release/penstock-broker")
        }
    };
    let wanted = SUITES.iter().filter(|suite| {
        let named = options.names.is_empty() || options.names.iter().any(|name| name == suite.name);
        named && (suite.in_smoke || !options.smoke)
    });
    for suite in wanted.clone() {
        let missing = missing(suite);
        ensure!(missing.is_empty(), "suite {} needs {}: not on PATH", suite.name, missing.join(" and "));
    }
    run_all(root, wanted, &broker, &filter)
}

/// The smoke part, with a broker that is built already, as far as this machine has the tools for it.
pub(crate) fn smoke(root: &Path, broker: &Path) -> anyhow::Result<()> {
    let (can, cannot): (Vec<&Suite>, Vec<&Suite>) =
        SUITES.iter().filter(|suite| suite.in_smoke).partition(|suite| missing(suite).is_empty());
    for suite in cannot {
        let missing = missing(suite).join(" and ");
        run::say(&format!("{}: left out, because this machine has no {missing}", suite.name));
    }
    run_all(root, can.into_iter(), broker, &Filter { smoke: true, only: None })
}

fn missing(suite: &Suite) -> Vec<&'static str> {
    suite.needs.iter().copied().filter(|program| !run::on_path(program)).collect()
}

fn run_all<'a>(
    root: &Path,
    suites: impl Iterator<Item = &'a Suite>,
    broker: &Path,
    filter: &Filter,
) -> anyhow::Result<()> {
    let pieces = root.join("tests/suites");
    let mut failed = Vec::new();
    for suite in suites {
        let scratch = tempfile::Builder::new().prefix("penstock-suite-").tempdir()?;
        let list = List::read(&pieces.join(format!("{}.list", suite.name)))?;
        let run = |name: &str, filter: &Filter| {
            let scratch = scratch.path().join(name);
            std::fs::create_dir(&scratch)?;
            let setting = Setting { broker, pieces: &pieces, scratch: &scratch, filter, list: &list };
            (suite.run)(&setting).with_context(|| format!("suite {}", suite.name))
        };
        let mut results = run("first", filter)?;
        let broken = list.broken(&results);
        if !broken.is_empty() && broken.len() <= TRIED_AGAIN_MAX {
            run::say(&format!("{}: once more: {}", suite.name, broken.join(", ")));
            let names: Vec<String> = broken.iter().map(|name| regex::escape(name)).collect();
            let only = Regex::new(&format!("^({})$", names.join("|")))?;
            let again = run("again", &Filter { smoke: false, only: Some(only) })?;
            results.retain(|result| !again.iter().any(|other| other.name == result.name));
            results.extend(again.into_iter().filter(|result| broken.contains(&result.name)));
        }
        // A part of a suite says nothing about the tests that it leaves out.
        let whole = !filter.smoke && filter.only.is_none();
        let verdict = list.judge(&results, whole);
        run::say(&format!("{}: {verdict}", suite.name));
        if !verdict.is_good() {
            failed.push(suite.name);
            run::say(&format!("{}: data and logs stay in {}", suite.name, scratch.keep().display()));
        }
    }
    if !failed.is_empty() {
        bail!("not as the lists say: {}", failed.join(", "));
    }
    Ok(())
}
