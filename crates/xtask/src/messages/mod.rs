//! Turns `crates/protocol/schema/` into `crates/protocol/src/generated/`: a struct with `decode` and `encode` for
//! every message of Kafka's protocol, the list of API keys and the list of error codes.
//!
//! The output is committed, so that building Penstock needs neither this generator nor a build script, and a
//! change of the schema is reviewed as the code that it becomes. It is made to compile quickly: one file per pair
//! of request and response, no generics and no macros on the codec, every decision about versions is an `if` on
//! an `i16`.
//!
//! Start with [`schema`] (the text format and its parser), then [`rust`] (what a struct becomes), then [`tables`]
//! (API keys, error codes and module lists).

mod names;
mod rust;
mod schema;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

const SCHEMA_DIR: &str = "crates/protocol/schema";
const OUTPUT_DIR: &str = "crates/protocol/src/generated";

/// Writes the generated files under `root`, or, with `check`, fails with the names of those that are stale.
/// Returns how many files there are.
pub(crate) fn generate(root: &Path, check: bool) -> anyhow::Result<usize> {
    let wanted = format_all(root, render(root)?)?;
    let output = root.join(OUTPUT_DIR);
    let mut stale = Vec::new();
    for (name, text) in &wanted {
        let path = output.join(name);
        if std::fs::read_to_string(&path).ok().as_deref() == Some(text) {
            continue;
        }
        stale.push(name.clone());
        if !check {
            std::fs::create_dir_all(&output).with_context(|| format!("create {}", output.display()))?;
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
    }
    for leftover in leftovers(&output, &wanted)? {
        if !check {
            std::fs::remove_file(output.join(&leftover)).with_context(|| format!("remove {leftover}"))?;
        }
        stale.push(leftover);
    }
    if check && !stale.is_empty() {
        bail!("{OUTPUT_DIR} does not match {SCHEMA_DIR}: {}; run `cargo xtask generate`", stale.join(", "));
    }
    Ok(wanted.len())
}

/// All generated files by name, unformatted.
fn render(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let read = |name: &str| {
        let path = root.join(SCHEMA_DIR).join(name);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let mut messages = Vec::new();
    for name in ["messages.txt", "coordinator.txt"] {
        messages.extend(schema::parse(&read(name)?).with_context(|| format!("parse {SCHEMA_DIR}/{name}"))?);
    }
    let modules = rust::group(&messages);
    let mut files = BTreeMap::new();
    for module in &modules {
        files.insert(format!("{}.rs", module.name), rust::module(module)?);
    }
    files.insert("mod.rs".into(), tables::index(&modules));
    files.insert("api_key.rs".into(), tables::api_keys(&messages)?);
    files.insert("error_code.rs".into(), tables::error_codes(&read("errors.txt")?)?);
    files.insert("dispatch.rs".into(), tables::dispatch(&modules));
    Ok(files)
}

/// Runs every file through rustfmt, so that the committed text is what `cargo fmt` would leave.
fn format_all(root: &Path, files: BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, String>> {
    files.into_iter().map(|(name, text)| Ok((name.clone(), format(root, &text).context(name)?))).collect()
}

fn format(root: &Path, text: &str) -> anyhow::Result<String> {
    use std::io::Write;
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start rustfmt (rustup component add rustfmt)")?;
    let mut stdin = rustfmt.stdin.take().context("rustfmt has no stdin")?;
    // rustfmt reads all of its input before it writes, so one thread can do both.
    stdin.write_all(text.as_bytes()).context("write to rustfmt")?;
    drop(stdin);
    let done = rustfmt.wait_with_output().context("wait for rustfmt")?;
    if !done.status.success() {
        bail!("rustfmt refused the generated text");
    }
    String::from_utf8(done.stdout).context("rustfmt wrote something that is not UTF-8")
}

/// Files in the output directory that no message asks for any more.
fn leftovers(output: &Path, wanted: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let Ok(entries) = std::fs::read_dir(output) else { return Ok(names) };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rs") && !wanted.contains_key(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
