//! Files that programs write and git keeps: rewritten by `generate`, compared by `check`.
//!
//! They are committed so that a build needs no generator, no database and no network, and so that a change of
//! their source shows in review as what it means for others.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::{messages, run, sqlx_data};

const OPENAPI: &str = "openapi/penstock-v1.json";

/// Rewrites all of them.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let files = messages::generate(root, false)?;
    run::say(&format!("protocol messages: {files} files"));
    // Before the program that contains the queries is built.
    let queries = sqlx_data::generate(root)?;
    run::say(&format!("query data of store: {queries} files"));
    let path = root.join(OPENAPI);
    std::fs::write(&path, openapi(root)?).with_context(|| format!("write {}", path.display()))?;
    run::say("OpenAPI: 1 file");
    Ok(())
}

/// Fails if one of them is not what its program would write now. The query data is checked with the lints.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    messages::generate(root, true)?;
    let committed = std::fs::read_to_string(root.join(OPENAPI)).unwrap_or_default();
    anyhow::ensure!(
        committed == openapi(root)?,
        "{OPENAPI} is not what penstock-server says; run `cargo xtask generate`"
    );
    Ok(())
}

/// The description of the REST interface, as the server itself gives it.
fn openapi(root: &Path) -> anyhow::Result<String> {
    run::build_programs(root, &["--quiet"])?;
    run::output(Command::new(run::target_dir(root).join("debug/penstock-server")).arg("openapi"))
}
