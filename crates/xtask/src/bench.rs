//! `cargo xtask bench`: our broker side by side with Apache Kafka, by the program of the `bench` crate.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, anyhow};

use crate::{install, run, system};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Passed on to `penstock-bench`, such as `--quick` or `--rounds 7 --only latency`; `-- --help` lists them.
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    more: Vec<String>,
}

/// Where, in its directory, `rdkafka_performance` lies.
const PERFORMANCE: &str = "librdkafka/examples/rdkafka_performance";

/// Builds the broker as it is shipped, and becomes the bench.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    system::require(system::FOR_BENCH)?;
    run::run(run::cargo(root).args(["build", "--profile", "dist", "--package", "broker"]))?;
    run::run(run::cargo(root).args(["build", "--release", "--package", "bench"]))?;
    let jars = install::kafka_jars(&root.join("tests/suites/java-tools/pom.xml"))?;
    let performance =
        install::once(&format!("rdkafka-performance-{}", install::RDKAFKA_SYS), build_performance)?;
    let built = run::target_dir(root);
    let bench = built.join("release/penstock-bench");
    let broker = built.join("dist/penstock-broker");
    let shown = ["cargo xtask bench".to_owned()].into_iter().chain(options.more.iter().cloned());
    let failed = Command::new(&bench)
        .arg("--broker")
        .arg(broker)
        .arg("--kafka-jars")
        .arg(jars)
        .arg("--rdkafka-performance")
        .arg(performance.join(PERFORMANCE))
        .args(["--command", &shown.collect::<Vec<_>>().join(" ")])
        .args(&options.more)
        .exec();
    Err(anyhow!(failed).context(format!("start {}", bench.display())))
}

/// librdkafka's own load generator, with nothing that needs other libraries.
fn build_performance(dir: &Path) -> anyhow::Result<()> {
    install::crate_sources("rdkafka-sys", install::RDKAFKA_SYS, dir)?;
    let sources = dir.join("librdkafka");
    fs::set_permissions(sources.join("configure"), fs::Permissions::from_mode(0o755))?;
    let disabled = ["curl", "ssl", "gssapi", "zstd", "lz4-ext"].map(|what| format!("--disable-{what}"));
    let in_sources = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(&sources);
        command
    };
    run::output(in_sources("bash").arg("./configure").args(disabled))?;
    run::output(in_sources("make").args(["-j2", "libs"])).context("build librdkafka")?;
    run::output(in_sources("make").args(["-C", "examples", "rdkafka_performance"]))
        .context("build rdkafka_performance")?;
    Ok(())
}
