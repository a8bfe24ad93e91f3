//! Whether a change may be merged, as far as a machine can tell without running it.
//!
//! Cheap steps first, so that most mistakes show within seconds. Nothing here reaches the network but the
//! first use of cargo-deny on a machine that lacks it (see [`crate::deny`]).

use std::path::Path;

use anyhow::Context as _;

use crate::{deny, generate, layers, run, shape, sqlx_data};

type Step = fn(&Path) -> anyhow::Result<()>;

const STEPS: &[(&str, Step)] = &[
    ("format", format),
    ("layers", layers::run),
    ("shape", shape::run),
    ("licences, bans and sources", deny::run),
    ("lints and query data", lints),
    ("generated files", generate::check),
];

/// Runs all steps and fails at the end with the names of those that failed, so that one run tells everything.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        #[expect(clippy::disallowed_methods, reason = "tells a person how long a step took")]
        let begun = std::time::Instant::now();
        let done = step(root).with_context(|| format!("check of {name}"));
        let took = begun.elapsed().as_secs_f32();
        match done {
            Ok(()) => run::say(&format!("ok      {name} ({took:.1} s)")),
            Err(error) => {
                run::say(&format!("FAILED  {name} ({took:.1} s): {error:#}"));
                failed.push(*name);
            }
        }
    }
    anyhow::ensure!(failed.is_empty(), "failed: {}", failed.join("; "));
    Ok(())
}

fn format(root: &Path) -> anyhow::Result<()> {
    let mut cargo = run::cargo(root);
    run::run(cargo.args(["fmt", "--all", "--check"])).context("run `cargo fmt`")
}

/// Lints of all targets, tests included. Warnings are errors here and not in the manifest, so that half-done
/// work still compiles at home. The same compilation asks Postgres about `store`'s queries: a second one would need
/// many dependencies again, with other features.
fn lints(root: &Path) -> anyhow::Result<()> {
    let mut cargo = run::cargo(root);
    cargo.args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"]);
    sqlx_data::check(root, &mut cargo)
}
