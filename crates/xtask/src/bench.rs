//! `cargo xtask bench`: our broker side by side with Apache Kafka, by the program of the `bench` crate.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::anyhow;

use crate::run;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Passed on to `penstock-bench`, such as `--rounds 7 --only latency`; `--help` lists them.
    #[arg(last = true)]
    more: Vec<String>,
}

/// Builds the broker as it is shipped, and becomes the bench.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    run::run(run::cargo(root).args(["build", "--profile", "dist", "--package", "broker"]))?;
    run::run(run::cargo(root).args(["build", "--release", "--package", "bench"]))?;
    let built = run::target_dir(root);
    let bench = built.join("release/penstock-bench");
    let broker = built.join("dist/penstock-broker");
    let failed = Command::new(&bench).arg("--broker").arg(broker).args(&options.more).exec();
    Err(anyhow!(failed).context(format!("start {}", bench.display())))
}
