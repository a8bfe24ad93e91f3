//! Starting other programs, and talking about it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The packages with programs for users.
const PROGRAMS: &[&str] = &["broker", "cli", "server"];

/// Tells the person at the terminal. Standard output stays for what the started programs print.
#[expect(clippy::print_stderr, reason = "a command line tool talks on standard error")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// The cargo that started this program.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // Cargo describes the package `xtask` to us; to a cargo of our own these are false hints.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("start {}", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("start {}", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}\n{}", shown(command), output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no text", shown(command)))
}

/// The command as one would type it. Arguments only: the environment may hold secrets.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy);
    words.collect::<Vec<_>>().join(" ")
}

/// Builds the programs that users start. Always all of them together: for each set of packages cargo may choose other
/// features of their dependencies, and would build those once more.
pub(crate) fn build_programs(root: &Path, options: &[&str]) -> anyhow::Result<()> {
    let mut build = cargo(root);
    build.arg("build").args(options);
    run(build.args(PROGRAMS.iter().flat_map(|package| ["--package", package])))
}

/// Where cargo puts what it builds for this workspace.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(target)
}

/// The user's cache directory for Penstock: tools and packages that are too slow to fetch for each clone.
pub(crate) fn cache_dir() -> anyhow::Result<PathBuf> {
    testkit::installed::cache_dir().context("neither XDG_CACHE_HOME nor HOME is set")
}

/// Whether a program is on PATH.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
