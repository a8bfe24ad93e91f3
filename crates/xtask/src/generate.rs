//! Files that programs write and git keeps: rewritten by `generate`, compared by `check`.
//!
//! They are committed so that a build needs no generator, no database and no network, and so that a change of
//! their source shows in review as what it means for others.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::{messages, run, sqlx_data};

const OPENAPI: &str = "openapi/penstock-v1.json";
const CUSTOM_RESOURCES: &str = "charts/penstock-operator/files/crds.yaml";

/// Rewrites all of them.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let files = messages::generate(root, false)?;
    run::say(&format!("protocol messages: {files} files"));
    // Before the program that contains the queries is built.
    let queries = sqlx_data::generate(root)?;
    run::say(&format!("query data of store: {queries} files"));
    write(root, OPENAPI, &openapi(root)?)?;
    run::say("OpenAPI: 1 file");
    write(root, CUSTOM_RESOURCES, &custom_resources(root)?)?;
    run::say("custom resources: 1 file");
    Ok(())
}

/// Fails if one of them is not what its program would write now. The query data is checked with the lints.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    messages::generate(root, true)?;
    compare(root, OPENAPI, &openapi(root)?, "penstock-server")?;
    compare(root, CUSTOM_RESOURCES, &custom_resources(root)?, "penstock-operator")
}

fn write(root: &Path, file: &str, text: &str) -> anyhow::Result<()> {
    let path = root.join(file);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

fn compare(root: &Path, file: &str, text: &str, program: &str) -> anyhow::Result<()> {
    let committed = std::fs::read_to_string(root.join(file)).unwrap_or_default();
    anyhow::ensure!(committed == text, "{file} is not what {program} says; run `cargo xtask generate`");
    Ok(())
}

/// The definitions of the custom resources, as the operator itself gives them.
fn custom_resources(root: &Path) -> anyhow::Result<String> {
    let mut operator = run::cargo(root);
    operator.args(["run", "--quiet", "--package", "operator", "--bin", "penstock-operator", "--", "crds"]);
    run::output(&mut operator)
}

/// The description of the REST interface, as the server itself gives it.
fn openapi(root: &Path) -> anyhow::Result<String> {
    run::build_programs(root, &["--quiet"])?;
    run::output(Command::new(run::target_dir(root).join("debug/penstock-server")).arg("openapi"))
}
