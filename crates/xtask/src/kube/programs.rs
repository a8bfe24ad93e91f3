//! Programs of the test cluster that are built from Go modules: Kubernetes itself, and helm.
//!
//! Kubernetes takes some six minutes of two cores to compile, so what is built is kept in the user's cache directory,
//! named after its source: a changed source builds anew, and what is finished is never changed. Go's own cache of
//! intermediate files (3 GB) is not needed for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::run;

/// Where the source lies, relative to the repository.
const SOURCE: &str = "tests/kubernetes";

/// What the programs say they are, as a release's build would set it; without it kubectl and the API server call
/// themselves v0.0.0 and refuse each other's features. Goes with `k8s.io/kubernetes` in `go.mod`.
const KUBERNETES_VERSION: [&str; 3] = ["v1.34.4", "1", "34"];

/// One version for everybody; any of version 3 renders the charts alike.
const HELM: &str = "helm.sh/helm/v3/cmd/helm@v3.19.4";

/// The cluster's own programs.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// Everything that Kubernetes is.
    pub(super) testcluster: PathBuf,
    /// The same program under the name by which it is only kubectl.
    pub(super) kubectl: PathBuf,
    /// The first process of each pod.
    pub(super) pause: PathBuf,
}

/// Finds the cluster's programs, or builds them.
pub(super) fn cluster(root: &Path) -> anyhow::Result<Programs> {
    let source = root.join(SOURCE);
    let [version, major, minor] = KUBERNETES_VERSION;
    let package = "k8s.io/component-base/version";
    let flags = format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    );
    let digest = digest(&source, &flags)?;
    let dir = cached(&format!("kubernetes-{digest}"), "Kubernetes (about ten minutes, once)", |dir| {
        let build = |what: &str| {
            let mut go = go();
            go.current_dir(&source).args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &flags, "-o"]);
            run::run(go.arg(dir).arg(what))
        };
        build("./pause")?;
        build(".")?;
        // Go names the program after the module's last part.
        fs::rename(dir.join("kubernetes"), dir.join("testcluster"))?;
        Ok(std::os::unix::fs::symlink("testcluster", dir.join("kubectl"))?)
    })?;
    let program = |name: &str| dir.join(name);
    Ok(Programs { testcluster: program("testcluster"), kubectl: program("kubectl"), pause: program("pause") })
}

/// Finds helm, or builds it.
pub(crate) fn helm() -> anyhow::Result<PathBuf> {
    let version = HELM.rsplit('@').next().unwrap_or(HELM);
    let dir = cached(&format!("helm-{version}"), "helm (two minutes, once)", |dir| {
        run::run(go().args(["install", "-trimpath", "-ldflags=-s -w", HELM]).env("GOBIN", dir))
    })?;
    Ok(dir.join("helm"))
}

/// Go, making programs that need no library of the machine and run in an image of nothing else.
///
/// With the lowest priority: in CI it runs beside the build of our own programs, whose last steps use one core only.
fn go() -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "19", "go"]).env("CGO_ENABLED", "0");
    command
}

/// A directory of the cache: finds it, or makes it.
fn cached(name: &str, what: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    testkit::installed::once(&run::cache_dir()?, name, |dir| {
        run::say(&format!("building {what} into {}", dir.display()));
        make(dir).with_context(|| format!("build {what}; Go 1.24 or newer and its module proxy are needed"))
    })
}

/// Stands for the source: names and contents of all files, and how they are built.
fn digest(source: &Path, flags: &str) -> anyhow::Result<String> {
    let mut files = BTreeMap::new();
    for dir in [source.to_owned(), source.join("pause")] {
        for entry in fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
            let path = entry?.path();
            if path.is_file() {
                files.insert(path.clone(), fs::read(&path)?);
            }
        }
    }
    let mut hasher = Sha256::new_with_prefix(flags);
    for (path, content) in &files {
        hasher.update(path.strip_prefix(source)?.as_os_str().as_encoded_bytes());
        hasher.update(content.len().to_be_bytes());
        hasher.update(content);
    }
    Ok(hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_stands_for_names_contents_and_flags() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("pause")).expect("a directory");
        fs::write(dir.path().join("a.go"), "package main").expect("write");
        let of = |flags| digest(dir.path(), flags).expect("readable");
        let first = of("-s");
        assert_eq!(of("-s"), first);
        assert_ne!(of("-w"), first);
        fs::rename(dir.path().join("a.go"), dir.path().join("b.go")).expect("rename");
        assert_ne!(of("-s"), first);
        fs::write(dir.path().join("pause/main.go"), "package main").expect("write");
        assert_ne!(of("-s"), first);
    }
}
