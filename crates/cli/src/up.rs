//! `penstock up`: Postgres, server, account, add-on, and a file that says where everything is.
//!
//! The order is: take the directory, start or adopt Postgres, start the server, ask the API for an add-on as anybody
//! else would, try the add-on, write `up.json`, stay. While it stays, it starts again what dies. On Ctrl-C it stops
//! the server and Postgres; brokers are the data plane and go on, and the next `up` takes them up again.

mod addon;
mod address;
pub(crate) mod directory;
pub(crate) mod down;
mod server;
mod trial;

use std::path::Path;

use anyhow::Context;
use postgres::{Durability, Managed};
use secrecy::SecretString;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::arguments::Up;
use crate::failure::Failure;
use crate::output::Output;
use crate::up_file::{self, UpFile};

/// Where the private Postgres lives in the directory.
const POSTGRES: &str = "postgres";

pub(crate) async fn run(dir: &Path, wish: &Up, output: &Output) -> Result<(), Failure> {
    telemetry::logs::init(telemetry::logs::Format::Text);
    let start = Instant::now();
    let mut signals = Signals::listen().map_err(Failure::internal)?;
    let directory = directory::take(dir)?;
    let dir = directory.path();
    // What the last `up` left says nothing about this one.
    up_file::remove(dir).map_err(Failure::internal)?;

    // What cannot succeed is found before anything is started.
    let program = server::program(dir)?;
    let listen = address::choose(dir, wish.listen)?;
    let mut database = tokio::select! {
        database = Database::start(dir, wish.database_url.as_ref(), output) => database?,
        () = signals.any() => return Ok(()),
    };
    let mut server = server::Server::new(dir, program, database.url(), listen);
    let result = tokio::select! {
        result = serve(dir, wish, &mut server, start, output) => result,
        () = database.keep_running() => Ok(()),
        () = signals.any() => Ok(()),
    };
    output.say("Stopping. Brokers go on; `penstock up` finds them again, `penstock down` stops them too.");
    up_file::remove(dir).map_err(Failure::internal)?;
    server.stop().await;
    database.stop().await?;
    result
}

/// Brings up what is above Postgres, and keeps it up.
async fn serve(
    dir: &Path,
    wish: &Up,
    server: &mut server::Server,
    start: Instant,
    output: &Output,
) -> Result<(), Failure> {
    let ready = server.start().await?;
    address::remember(dir, ready.address).map_err(Failure::internal)?;
    let up = addon::ensure(dir, &ready, &wish.plan, output).await?;
    up.write(dir).map_err(Failure::internal)?;
    output.say(&format!("Penstock is ready, {:.1} s after its start.\n", start.elapsed().as_secs_f64()));
    output.data(&up, |up| described(up, dir))?;
    output.say("\nCtrl-C stops it and leaves the brokers running; `penstock down` stops everything.");
    server.keep_running(output).await;
    Ok(())
}

fn described(up: &UpFile, dir: &Path) -> String {
    format!(
        "console    {}\n\
         API        {} (CA {})\n\
         token      {}\n\
         app        {}\n\
         add-on     {}\n\
         KAFKA_URL  {}\n\
         TLS        {} {} {}\n\
         all this   {}\n",
        up.console_url,
        up.api_url,
        up.api_ca_file.display(),
        up.token,
        up.app,
        up.resource,
        up.kafka_url,
        up.kafka_ca_file.display(),
        up.kafka_cert_file.display(),
        up.kafka_key_file.display(),
        dir.join(up_file::NAME).display(),
    )
}

/// A Postgres of somebody else's, or our own.
enum Database {
    Given(SecretString),
    Own(Box<Managed>),
}

impl Database {
    async fn start(dir: &Path, given: Option<&SecretString>, output: &Output) -> Result<Database, Failure> {
        if let Some(url) = given {
            return Ok(Database::Given(url.clone()));
        }
        let managed = Managed::start(&dir.join(POSTGRES), Durability::Durable).await.map_err(|error| {
            Failure::internal(anyhow::Error::new(error).context("cannot have a Postgres"))
        })?;
        let how = if managed.adopted() { "Found Postgres running" } else { "Started Postgres" };
        output.say(&format!("{how} (version {}, process {}).", managed.installation().major, managed.pid()));
        Ok(Database::Own(Box::new(managed)))
    }

    fn url(&self) -> SecretString {
        match self {
            Database::Given(url) => url.clone(),
            Database::Own(managed) => managed.url().clone(),
        }
    }

    /// Never ends.
    async fn keep_running(&mut self) {
        match self {
            Database::Given(_) => std::future::pending().await,
            Database::Own(managed) => managed.keep_running().await,
        }
    }

    async fn stop(self) -> Result<(), Failure> {
        match self {
            Database::Given(_) => Ok(()),
            Database::Own(managed) => managed.stop().await.map_err(|error| {
                Failure::internal(anyhow::Error::new(error).context("cannot stop Postgres"))
            }),
        }
    }
}

/// What asks `up` to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
