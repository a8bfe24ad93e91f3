//! `penstock down`: end everything that `up` started, from the top to the bottom: `up` itself, the server, the
//! brokers, Postgres; and with `--purge` the directory too.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use local::{Config, Local};

use super::{POSTGRES, directory};
use crate::arguments::Down;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::up_file;

/// `up` stops a server (15 s at most) and a Postgres (a checkpoint).
const UP_ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A server finishes requests for ten seconds at most.
const SERVER_ENDS_WITHIN: Duration = Duration::from_secs(20);

pub(crate) async fn run(dir: &Path, wish: &Down, output: &Output) -> Result<(), Failure> {
    telemetry::logs::init(telemetry::logs::Format::Text);
    if !dir.exists() {
        output.say(&format!("Nothing to do: {} is not there.", dir.display()));
        return Ok(());
    }
    let dir = &dir.canonicalize().context("cannot find the directory").map_err(Failure::internal)?;
    if !dir.join(directory::UP_LOCK).exists() {
        return Err(Failure::new(
            Exit::Usage,
            "not-ours",
            format!("{} was not made by `penstock up`", dir.display()),
        )
        .advice("name the directory of `penstock up` with --dir"));
    }
    stop(dir, output).await.map_err(Failure::internal)?;
    if wish.purge {
        purge(dir).await.map_err(Failure::internal)?;
        output.say(&format!("Deleted {}.", dir.display()));
    }
    Ok(())
}

async fn stop(dir: &Path, output: &Output) -> anyhow::Result<()> {
    if directory::end_holder(dir, directory::UP_LOCK, UP_ENDS_WITHIN).await? {
        output.say("Stopped `penstock up`.");
    }
    // One whose `up` was killed.
    if directory::end_holder(dir, directory::SERVER_LOCK, SERVER_ENDS_WITHIN).await? {
        output.say("Stopped the server.");
    }
    stop_brokers(dir).await?;
    output.say("Stopped all brokers.");
    if postgres::stop(&dir.join(POSTGRES)).await.context("cannot stop Postgres")? {
        output.say("Stopped Postgres.");
    }
    up_file::remove(dir)
}

async fn stop_brokers(dir: &Path) -> anyhow::Result<()> {
    let config =
        Config { dir: dir.to_owned(), releases: BTreeMap::new(), host: IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let errors = Local::open(config)?.stop_all_brokers().await;
    match errors.into_iter().next() {
        Some(error) => Err(anyhow::Error::new(error).context("a broker could not be stopped")),
        None => Ok(()),
    }
}

async fn purge(dir: &Path) -> anyhow::Result<()> {
    postgres::purge(&dir.join(POSTGRES)).await.context("cannot delete Postgres's data")?;
    std::fs::remove_dir_all(dir).with_context(|| format!("cannot delete {}", dir.display()))
}
