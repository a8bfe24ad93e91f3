//! The images of our programs: built static, written as archives, imported into the nodes.
//!
//! The programs are the debug builds that the other tests run, linked once more: `crt-static` decides how a program is
//! *linked*, and the libraries that go into it are the same. So it is passed to the last step only (`cargo rustc`), and
//! no dependency is compiled twice; as a setting for all (`RUSTFLAGS`, `[target.…]`) it would rebuild every one of
//! them, and procedural macros, which the compiler loads, cannot be linked that way at all. Debug information is left
//! out: it is nine tenths of a program, and each of three nodes unpacks it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::archive::Image;
use super::programs::Programs;
use crate::run;

/// Keeps a pod's namespaces; containerd's configuration names it.
pub(super) const PAUSE: &str = "penstock.local/pause:test";

/// One of our programs: its package, and its name.
type Program = (&'static str, &'static str);

const BROKER: Program = ("broker", "penstock-broker");
const OPERATOR: Program = ("operator", "penstock-operator");
const SERVER: Program = ("server", "penstock-server");

/// A broker that misbehaves on request and then becomes the broker beside it (`tests/integration/stand_in.rs`).
const STAND_IN: Program = ("integration", "penstock-broker-stand-in");

/// All images: the reference, and its programs, of which it runs the first.
const IMAGES: &[(&str, &[Program])] = &[
    ("penstock.local/broker:dev", &[BROKER]),
    ("penstock.local/operator:dev", &[OPERATOR]),
    ("penstock.local/server:dev", &[SERVER]),
    ("penstock.local/stand-in:dev", &[STAND_IN, BROKER]),
];

/// Builds our programs and writes their archives below the target directory.
pub(crate) fn write(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let dir = run::target_dir(root).join("images");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let mut linked = BTreeMap::new();
    for program in [BROKER, OPERATOR, SERVER, STAND_IN] {
        linked.insert(program, link(root, program, &dir)?);
    }
    let mut archives = Vec::new();
    for (reference, programs) in IMAGES {
        let binaries: Vec<&PathBuf> = programs.iter().map(|program| &linked[program]).collect();
        let archive = dir.join(format!("{}.tar", reference.replace(['/', ':'], "-")));
        write_archive(&archive, reference, &binaries)?;
        archives.push(archive);
    }
    Ok(archives)
}

/// Writes the image that every pod needs.
pub(super) fn write_pause(programs: &Programs, dir: &Path) -> anyhow::Result<()> {
    write_archive(&dir.join("pause.tar"), PAUSE, &[&programs.pause])
}

/// Links a program statically and returns it without its debug information.
fn link(root: &Path, (package, binary): Program, dir: &Path) -> anyhow::Result<PathBuf> {
    let mut cargo = run::cargo(root);
    cargo.args(["rustc", "--package", package, "--bin", binary]);
    cargo.args(["--", "-C", "target-feature=+crt-static"]);
    run::run(&mut cargo).with_context(|| format!("link {binary} statically"))?;
    let built = run::target_dir(root).join("debug").join(binary);
    let stripped = dir.join(binary);
    // From binutils, without which nothing could be linked.
    run::run(Command::new("strip").arg("-o").arg(&stripped).arg(&built))?;
    Ok(stripped)
}

/// Writes an image of these programs, of which it runs the first.
fn write_archive(archive: &Path, reference: &str, binaries: &[&PathBuf]) -> anyhow::Result<()> {
    let mut programs = Vec::new();
    for binary in binaries {
        let name = binary.file_name().context("a program has a name")?.to_string_lossy();
        let program = fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
        programs.push((format!("/{name}"), program));
    }
    let mut out =
        BufWriter::new(File::create(archive).with_context(|| format!("create {}", archive.display()))?);
    Image { reference, programs: &programs }.write(&mut out)?;
    out.into_inner().with_context(|| format!("write {}", archive.display()))?;
    Ok(())
}
