//! Licences, banned and doubled crates, and where crates come from: cargo-deny with `.deny.toml`.
//!
//! The advisories are left out: their database is one more place to fetch from, and `check` asks no network.
//! The tool itself comes from PATH, or is built once a user from the registry that every build of this
//! workspace uses anyway: it is kept in the user's cache directory, outside of any clone.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::run;

/// One version for everybody, since its configuration format changes.
const VERSION: &str = "0.20.2";

pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let tool = find()?.map_or_else(|| install(root), Ok)?;
    // It looks at all platforms' dependencies, a build fetches only this one's: complete them first, which
    // asks the registry for what is missing only.
    run::run(run::cargo(root).args(["fetch", "--locked", "--quiet"]))?;
    let mut deny = std::process::Command::new(tool);
    deny.current_dir(root).args(["--offline", "--all-features", "--config", ".deny.toml", "check"]);
    deny.args(["--hide-inclusion-graph", "bans", "licenses", "sources"]);
    run::run(&mut deny)
}

/// The wanted version in the cache, or else whatever version is on PATH.
fn find() -> anyhow::Result<Option<PathBuf>> {
    let cached = root_of_tools()?.join("bin/cargo-deny");
    if cached.is_file() {
        return Ok(Some(cached));
    }
    Ok(run::on_path("cargo-deny").then(|| "cargo-deny".into()))
}

fn install(root: &Path) -> anyhow::Result<PathBuf> {
    let tools = root_of_tools()?;
    run::say(&format!(
        "cargo-deny is not installed: building {VERSION} into {} (once a user, some minutes)",
        tools.display()
    ));
    // Unoptimised: it compiles three times faster and checks this workspace in about a second all the same.
    let mut cargo = run::cargo(root);
    cargo.args(["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--quiet"]);
    cargo.args(["--config", "profile.dev.debug=0"]).arg("--root").arg(&tools);
    // Beside the other tools, so that it does not depend on (or fill) the clone's target directory.
    cargo.env("CARGO_TARGET_DIR", tools.join("build"));
    run::run(&mut cargo).context("build cargo-deny")?;
    // Its intermediate files are larger than the tool and never needed again.
    let _ = std::fs::remove_dir_all(tools.join("build"));
    Ok(tools.join("bin/cargo-deny"))
}

/// A directory for each version, so that a change of version builds anew.
fn root_of_tools() -> anyhow::Result<PathBuf> {
    Ok(run::cache_dir()?.join(format!("cargo-deny-{VERSION}")))
}
