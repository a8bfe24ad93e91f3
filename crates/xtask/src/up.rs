//! `cargo xtask up`: the platform on this machine, from a clone.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::anyhow;

use crate::run;

/// Options of `cargo xtask up`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where everything of this platform lives.
    #[arg(long, default_value = ".penstock")]
    dir: PathBuf,
    /// More options for `penstock up`.
    #[arg(last = true)]
    more: Vec<String>,
}

/// Builds the programs and becomes `penstock up`.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    // Optimised: a debug build of the broker moves a tenth of the records.
    run::build_programs(root, &["--release"])?;
    let penstock = run::target_dir(root).join("release/penstock");
    // In place of this process, so that signals from the terminal and from supervisors reach it directly.
    let failed = Command::new(&penstock).arg("up").arg("--dir").arg(&options.dir).args(&options.more).exec();
    Err(anyhow!(failed).context(format!("start {}", penstock.display())))
}
