//! `cargo xtask test`: every test of the project.
//!
//! All test programs share one disposable Postgres and one Kubernetes that live as long as this command. The integration
//! tests (`tests/`) are members of the workspace like any other and drive the programs built here.
//!
//! Where nothing is cached, the Kubernetes takes six minutes of two cores to compile. That runs beside the build of our
//! own programs and at the lowest priority, and is waited for before the first test: tests on a machine that compiles
//! would measure the compiler.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow, ensure};
use postgres::{Durability, Managed};
use secrecy::ExposeSecret as _;

use crate::{charts, kube, run, suites, system};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Passed on to `cargo test`, such as `--package store` or `-- a_filter`.
    #[arg(last = true)]
    more: Vec<String>,
}

/// What all test programs reported together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    skipped: u64,
}

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    system::require(system::FOR_TESTS)?;
    let kubernetes = Kubernetes::begin(root, &options.more);
    testkit::tools::prepare();
    // First, because the tests drive these programs; `cargo test` alone does not build other packages' bins.
    run::build_programs(root, &[])?;
    // Before the cluster starts, which would only wait.
    let what = options.more.iter().take_while(|word| *word != "--");
    run::run(test_command(root, &options.more).args(["--no-run", "--quiet"]).args(what))?;
    let kubernetes = kubernetes.start()?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let dir = std::env::temp_dir().join(format!("penstock-test-run-{}", std::process::id()));
    let mut server = runtime.block_on(Managed::start(&dir, Durability::Disposable))?;
    runtime.block_on(async { server.stop_with_this_process() })?;

    let mut cargo = test_command(root, &options.more);
    cargo.arg("--no-fail-fast").args(&options.more);
    cargo.env(testkit::SERVER_VARIABLE, server.url().expose_secret());
    cargo.envs(kubernetes.variables());
    let tested = sum_up(&mut cargo);
    drop(server);
    kubernetes.end()?;
    let (sum, succeeded) = tested?;
    ensure!(sum.passed + sum.failed > 0, "no test ran");
    ensure!(succeeded && sum.failed == 0, "{} failed", sum.failed);
    // Whoever asks for some tests wants no others.
    if options.more.is_empty() {
        charts::test_where_helm_is(root)?;
        suites::smoke(root, &run::target_dir(root).join("debug/penstock-broker"))?;
    }
    Ok(())
}

/// The Kubernetes of a test run: one that is started for it, one that somebody named, or none.
enum Kubernetes<'a> {
    Own { root: &'a Path, preparing: JoinHandle<anyhow::Result<()>> },
    Running { variables: Vec<(&'static str, PathBuf)>, started: bool },
    None { why: String },
    Unneeded,
}

impl<'a> Kubernetes<'a> {
    /// Begins to compile what is missing.
    fn begin(root: &'a Path, asked: &[String]) -> Kubernetes<'a> {
        if leaves_out_integration(asked) {
            return Kubernetes::Unneeded;
        }
        if let Some(named) = std::env::var_os(kube::KUBECONFIG_VARIABLE) {
            let variables = vec![(kube::KUBECONFIG_VARIABLE, named.into())];
            return Kubernetes::Running { variables, started: false };
        }
        if let Some(why) = kube::obstacle() {
            return Kubernetes::None { why };
        }
        let of = root.to_owned();
        Kubernetes::Own { root, preparing: std::thread::spawn(move || kube::prepare(&of)) }
    }

    /// Starts it, once everything is compiled.
    fn start(self) -> anyhow::Result<Kubernetes<'a>> {
        let Kubernetes::Own { root, preparing } = self else { return Ok(self) };
        let archives = kube::write_images(root)?;
        preparing.join().map_err(|_| anyhow!("the build of Kubernetes panicked"))??;
        let variables = vec![
            (kube::KUBECONFIG_VARIABLE, kube::up(root, &archives)?),
            (kube::KUBECTL_VARIABLE, kube::kubectl(root)?),
            (kube::HELM_VARIABLE, kube::helm()?),
        ];
        Ok(Kubernetes::Running { variables, started: true })
    }

    fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        match self {
            Kubernetes::Running { variables, .. } => variables.clone(),
            _ => Vec::new(),
        }
    }

    /// Removes what was started, and repeats what the tests said in the middle of their output.
    fn end(self) -> anyhow::Result<()> {
        match self {
            Kubernetes::Running { started: true, .. } => kube::down(),
            Kubernetes::None { why } => {
                run::say(&format!("The tests on Kubernetes did not run: {why}"));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// `cargo test` of what is asked for: of the whole workspace, unless packages are named.
fn test_command(root: &Path, asked: &[String]) -> Command {
    let mut cargo = run::cargo(root);
    cargo.arg("test");
    if packages(asked).is_empty() {
        cargo.arg("--workspace");
    }
    cargo
}

/// The packages that are named.
fn packages(asked: &[String]) -> Vec<&str> {
    let words: Vec<&str> = asked.iter().map(String::as_str).take_while(|word| *word != "--").collect();
    let named = |pair: &&[&str]| ["-p", "--package"].contains(&pair[0]);
    words.windows(2).filter(named).map(|pair| pair[1]).collect()
}

/// Whether packages are named and the one with the tests on Kubernetes is none of them.
fn leaves_out_integration(asked: &[String]) -> bool {
    let packages = packages(asked);
    !packages.is_empty() && !packages.contains(&"integration")
}

/// Runs the tests, shows their output, and prints one closing line over all of them.
fn sum_up(cargo: &mut Command) -> anyhow::Result<(Sum, bool)> {
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("start cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut terminal = std::io::stdout();
    let mut sum = Sum::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("read the output of cargo test")?;
        writeln!(terminal, "{line}")?;
        sum.add(&line);
    }
    let status = child.wait()?;
    writeln!(terminal, "{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped)?;
    Ok((sum, status.success()))
}

impl Sum {
    /// Counts a program's closing line: `test result: ok. 14 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_packages_leave_the_tests_on_kubernetes_out() {
        let asked = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for with in
            ["", "-- a_filter", "--package integration", "-p store -p integration", "-- --package store"]
        {
            assert!(!leaves_out_integration(&asked(with)), "{with}");
        }
        for without in ["--package store", "-p store -p api -- integration"] {
            assert!(leaves_out_integration(&asked(without)), "{without}");
        }
    }

    #[test]
    fn closing_lines_add_up_and_other_lines_do_not_count() {
        let mut sum = Sum::default();
        sum.add(
            "test result: ok. 14 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 14.05s",
        );
        sum.add("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s");
        sum.add("test writes ... 7 passed");
        assert_eq!(sum, Sum { passed: 16, failed: 3, skipped: 1 });
    }
}
