//! `.sqlx/`: what Postgres says about each query of `store`, so that the queries are checked against the
//! schema in builds that have no database.
//!
//! The query macros write one file for each query when they see a database. They see a fresh one here, made
//! from `migrations/`, so that a leftover of somebody's own database cannot make a wrong query pass.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, bail};

use crate::run;

const KEPT: &str = ".sqlx";

/// Files by name.
type Files = BTreeMap<String, String>;

/// Replaces the kept files. Returns how many there are.
pub(crate) fn generate(root: &Path) -> anyhow::Result<usize> {
    let wanted = describe(root, run::cargo(root).args(["check", "--quiet", "--package", "store"]))?;
    let folder = root.join(KEPT);
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let kept = read(&folder)?;
    for name in kept.keys().filter(|name| !wanted.contains_key(*name)) {
        std::fs::remove_file(folder.join(name)).with_context(|| format!("remove {name}"))?;
    }
    for (name, text) in &wanted {
        if kept.get(name) != Some(text) {
            std::fs::write(folder.join(name), text).with_context(|| format!("write {name}"))?;
        }
    }
    Ok(wanted.len())
}

/// Runs a command that compiles `store` among others, and fails with the names of files that are stale, missing or
/// too many.
pub(crate) fn check(root: &Path, compile: &mut Command) -> anyhow::Result<()> {
    let wanted = describe(root, compile)?;
    let kept = read(&root.join(KEPT))?;
    let names = wanted.keys().chain(kept.keys());
    let mut stale: Vec<&str> =
        names.filter(|name| wanted.get(*name) != kept.get(*name)).map(String::as_str).collect();
    stale.sort_unstable();
    stale.dedup();
    if !stale.is_empty() {
        bail!("{KEPT} does not match the queries of store: {}; run `cargo xtask generate`", stale.join(", "));
    }
    Ok(())
}

/// Compiles `store` against a fresh database and returns what its macros wrote.
fn describe(root: &Path, compile: &mut Command) -> anyhow::Result<Files> {
    let out = tempfile::tempdir().context("make a temporary directory")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let database = testkit::Database::create().await;
        compile
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", out.path())
            .env("DATABASE_URL", database.url());
        // The macros run only if the compiler does, and the schema is no file that cargo watches.
        let _dirty = Dirty::mark(&root.join("crates/store/src/lib.rs"))?;
        run::run(compile)
    })?;
    read(out.path())
}

/// A source file that looks changed to cargo while this value lives. Giving the time back keeps what was built
/// from the file before.
struct Dirty {
    file: File,
    before: SystemTime,
}

impl Dirty {
    fn mark(path: &Path) -> anyhow::Result<Dirty> {
        let file =
            File::options().append(true).open(path).with_context(|| format!("open {}", path.display()))?;
        let before = file.metadata()?.modified()?;
        #[expect(clippy::disallowed_methods, reason = "a file's time has to be later than the last build's")]
        file.set_modified(SystemTime::now())?;
        Ok(Dirty { file, before })
    }
}

impl Drop for Dirty {
    fn drop(&mut self) {
        // Failing leaves a file that looks newer than it is, which costs one needless build.
        let _ = self.file.set_modified(self.before);
    }
}

fn read(folder: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(files) };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(
            name,
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?,
        );
    }
    Ok(files)
}
