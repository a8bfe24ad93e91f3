//! `cargo xtask bench`: our broker side by side with Apache Kafka, by the program of the `bench` crate.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::anyhow;

use crate::{run, system};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Passed on to `penstock-bench`, such as `--quick` or `--rounds 7 --only latency`; `-- --help` lists them.
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    more: Vec<String>,
}

/// Builds the broker as it is shipped, and becomes the bench.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    system::require(system::FOR_BENCH)?;
    run::run(run::cargo(root).args(["build", "--profile", "dist", "--package", "broker"]))?;
    run::run(run::cargo(root).args(["build", "--release", "--package", "bench"]))?;
    let built = run::target_dir(root);
    let bench = built.join("release/penstock-bench");
    let broker = built.join("dist/penstock-broker");
    let shown = ["cargo xtask bench".to_owned()].into_iter().chain(options.more.iter().cloned());
    let failed = Command::new(&bench)
        .arg("--broker")
        .arg(broker)
        .args(["--command", &shown.collect::<Vec<_>>().join(" ")])
        .args(&options.more)
        .exec();
    Err(anyhow!(failed).context(format!("start {}", bench.display())))
}
