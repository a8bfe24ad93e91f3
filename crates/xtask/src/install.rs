//! Getting other people's sources and packages, once a user: with `cargo`, `pip` and `mvn` as their owners meant it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use testkit::installed;

use crate::run;

/// The version of the crate whose sources hold librdkafka 2.12.1 with its tests and its load generator.
pub(crate) const RDKAFKA_SYS: &str = "4.10.0+2.12.1";

/// The directory of the cache where all of it is.
fn cache() -> anyhow::Result<PathBuf> {
    Ok(run::cache_dir()?.join("suites"))
}

/// The directory `name` in the cache, filled by `install` unless it is there.
pub(crate) fn once(name: &str, install: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    let cache = cache()?;
    installed::once(&cache, name, |dir| {
        run::say(&format!("installing {name} into {}", cache.display()));
        install(dir).with_context(|| format!("install {name} into {}", dir.display()))
    })
}

/// Unpacks the sources of a crate into `dir`.
pub(crate) fn crate_sources(name: &str, version: &str, dir: &Path) -> anyhow::Result<()> {
    // A package that depends on it makes cargo fetch it and say where it lies.
    let probe = tempfile::tempdir()?;
    fs::create_dir(probe.path().join("src"))?;
    fs::write(probe.path().join("src/lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\n{name} = {{ version = \"={version}\", default-features = false }}\n"
    );
    fs::write(probe.path().join("Cargo.toml"), manifest)?;
    let metadata = run::output(run::cargo(probe.path()).args(["metadata", "--quiet", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("read cargo's metadata")?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let manifest = packages.iter().find(|package| package["name"] == name);
    let manifest = manifest.and_then(|package| package["manifest_path"].as_str());
    let sources =
        manifest.and_then(|path| Path::new(path).parent()).context("cargo does not say where it lies")?;
    run::run(Command::new("cp").arg("-r").arg(sources.join(".")).arg(dir))?;
    run::run(Command::new("chmod").args(["-R", "u+w"]).arg(dir))
}

/// Replaces a piece of a file. Fails unless it is there once: then the sources are others than the change was made
/// for.
pub(crate) fn patch(file: &Path, from: &str, to: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let found = text.matches(from).count();
    ensure!(found == 1, "{} contains `{from}` {found} times", file.display());
    fs::write(file, text.replace(from, to))?;
    Ok(())
}

/// The directory with the jars of Apache Kafka that a list (a `pom.xml`) names, and all that they need.
pub(crate) fn kafka_jars(list: &Path) -> anyhow::Result<PathBuf> {
    let text = fs::read(list).with_context(|| format!("read {}", list.display()))?;
    let installed = once(&installed::named_after("kafka-jars", &text), |dir| {
        let mut maven = Command::new("mvn");
        maven.args(["--quiet", "--batch-mode", "--file"]).arg(list);
        maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
        run::run(maven.arg(format!("-DoutputDirectory={}", dir.join("lib").display())))
    })?;
    Ok(installed.join("lib"))
}
