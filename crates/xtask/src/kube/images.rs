//! The images of our programs: built static, written as archives, imported into the nodes.
//!
//! The programs are the debug builds that the other tests run, linked once more: `crt-static` decides how a program is
//! *linked*, and the libraries that go into it are the same. So it is passed to the last step only (`cargo rustc`), and
//! no dependency is compiled twice; as a setting for all (`RUSTFLAGS`, `[target.…]`) it would rebuild every one of
//! them, and procedural macros, which the compiler loads, cannot be linked that way at all. Debug information is left
//! out: it is nine tenths of a program, and each of three nodes unpacks it.

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

/// One of our programs as an image.
struct Program {
    package: &'static str,
    binary: &'static str,
    reference: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program { package: "broker", binary: "penstock-broker", reference: "penstock.local/broker:dev" },
    Program { package: "operator", binary: "penstock-operator", reference: "penstock.local/operator:dev" },
    Program { package: "server", binary: "penstock-server", reference: "penstock.local/server:dev" },
];

/// Builds our programs and writes their archives below the target directory.
pub(crate) fn write(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let dir = run::target_dir(root).join("images");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let mut archives = Vec::new();
    for program in PROGRAMS {
        let binary = link(root, program, &dir)?;
        let archive = dir.join(format!("{}.tar", program.package));
        write_archive(&archive, program.reference, &binary)?;
        archives.push(archive);
    }
    Ok(archives)
}

/// Writes the image that every pod needs.
pub(super) fn write_pause(programs: &Programs, dir: &Path) -> anyhow::Result<()> {
    write_archive(&dir.join("pause.tar"), PAUSE, &programs.pause)
}

/// Links a program statically and returns it without its debug information.
fn link(root: &Path, program: &Program, dir: &Path) -> anyhow::Result<PathBuf> {
    let mut cargo = run::cargo(root);
    cargo.args(["rustc", "--package", program.package, "--bin", program.binary]);
    cargo.args(["--", "-C", "target-feature=+crt-static"]);
    run::run(&mut cargo).with_context(|| format!("link {} statically", program.binary))?;
    let built = run::target_dir(root).join("debug").join(program.binary);
    let stripped = dir.join(program.binary);
    // From binutils, without which nothing could be linked.
    run::run(Command::new("strip").arg("-o").arg(&stripped).arg(&built))?;
    Ok(stripped)
}

fn write_archive(archive: &Path, reference: &str, binary: &Path) -> anyhow::Result<()> {
    let program = fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    let name = binary.file_name().context("a program has a name")?.to_string_lossy();
    let path = format!("/{name}");
    let mut out =
        BufWriter::new(File::create(archive).with_context(|| format!("create {}", archive.display()))?);
    Image { reference, path: &path, program: &program }.write(&mut out)?;
    out.into_inner().with_context(|| format!("write {}", archive.display()))?;
    Ok(())
}
