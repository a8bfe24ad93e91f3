//! `penstock-broker`: reads what it should be, runs until it is told to stop, says how it ended.
//!
//! Exit codes: 0 asked to stop, 2 bad configuration (and whatever else a person must fix before it can start), 3 lost
//! its disk. Stdout carries one line, when clients can come; logs go to stderr.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use broker::config::{self, Config};
use broker::server;
use clap::{Parser, Subcommand};
use telemetry::logs;

/// A Kafka broker.
#[derive(Parser)]
#[command(name = "penstock-broker", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What log lines look like: `text` or `json`.
    #[arg(long, global = true, default_value = "text")]
    log_format: logs::Format,
    /// What is logged, such as `info` or `info,broker::connection=debug`; can be changed at run time.
    #[arg(long, global = true, default_value = "info", env = "PENSTOCK_LOG")]
    log_level: String,
}

#[derive(Subcommand)]
enum Command {
    /// One plaintext broker that makes topics when they are asked for, for tests and benchmarks.
    Dev {
        /// The data directory; made if it is not there.
        #[arg(long)]
        data: PathBuf,
        /// Where clients connect, as `host:port`; port 0 lets the system choose.
        #[arg(long)]
        listen: String,
        /// Where admin HTTP listens, as `host:port`.
        #[arg(long)]
        admin: Option<String>,
        /// A broker setting by Kafka's name, as `key=value`; may be given several times.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// A broker as its configuration file says.
    Run {
        /// A properties file with Kafka's names.
        #[arg(long)]
        config: PathBuf,
    },
    /// Prints all settings with their defaults and what they do.
    Settings,
}

const EXIT_CONFIGURATION: u8 = 2;
const EXIT_LOST_DISK: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = match logs::install(arguments.log_format, &arguments.log_level) {
        Ok(level) => level,
        Err(error) => return refuse(&error.into()),
    };
    let config = match configuration(arguments.command) {
        Ok(Some(config)) => config,
        Ok(None) => return print_settings().map_or_else(|error| refuse(&error), |()| ExitCode::SUCCESS),
        Err(error) => return refuse(&error),
    };
    for name in config.given.keys() {
        if let Some(why) = config::doc(name).and_then(|doc| doc.no_effect) {
            tracing::info!(setting = name, why, "a setting was given that has no effect here");
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.workers)
        // Handlers run on the workers; only name lookups and deletions of files use the pool.
        .max_blocking_threads(8)
        .thread_name("serve")
        .enable_all()
        .build();
    let runtime = match runtime.context("the runtime could not be started") {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let ended = runtime.block_on(run(config, level));
    // Nothing of ours is left on the pool that must finish.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &anyhow::Error) -> ExitCode {
    // One sentence for the person who started it; the alternate form has the causes in it.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(EXIT_CONFIGURATION)
}

/// What the command line or the file says; `None` if only the settings are asked for.
fn configuration(command: Command) -> anyhow::Result<Option<Config>> {
    let config = match command {
        Command::Settings => return Ok(None),
        Command::Run { config: path } => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?;
            let folder = std::path::absolute(&path)?;
            let folder = folder.parent().unwrap_or(&folder);
            config::properties::parse(&text, folder, |name| std::env::var(name).ok())
                .with_context(|| path.display().to_string())?
        }
        Command::Dev { data, listen, admin, settings } => {
            let mut config = Config { data_dir: data, ..Config::default() };
            config.set("listeners", &format!("PLAINTEXT://{listen}"))?;
            if let Some(admin) = admin {
                config.set("penstock.admin.listener", &admin)?;
            }
            for setting in settings {
                let (key, value) = setting
                    .split_once('=')
                    .with_context(|| format!("`--set {setting}` is not `key=value`"))?;
                config.set(key.trim(), value.trim())?;
            }
            config
        }
    };
    config.validate()?;
    Ok(Some(config))
}

/// One paragraph for each setting: `name=default`, with what may be set for a topic alone by its own name.
fn print_settings() -> anyhow::Result<()> {
    let default = Config::default();
    let mut out = std::io::stdout().lock();
    let mut print = |name: &str, value: Option<String>, note: &str| {
        let whole = config::doc(name).map(|doc| doc.whole()).unwrap_or_default();
        writeln!(out, "{name}={}{note}\n    {whole}", value.unwrap_or_default())
    };
    for key in config::KEYS {
        print(key.name, (key.get)(&default), "")?;
    }
    for key in config::topic_keys::TOPIC_KEYS {
        let note = match key.broker_name {
            Some(name) if name != key.name => format!(" (for a topic; for all: {name})"),
            Some(_) => " (for a topic or for all)".to_owned(),
            None => " (for a topic)".to_owned(),
        };
        print(key.name, Some((key.get)(&default.topic_defaults)), &note)?;
    }
    Ok(())
}

async fn run(config: Config, level: logs::LevelHandle) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let started = server::start(config, level);
    let running = tokio::select! {
        running = started => running?,
        // Told to stop before it was up: nothing was acknowledged, and the next start sees an unclean stop.
        () = signals.wait() => return Ok(ExitCode::SUCCESS),
    };
    {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", running.ready_line()).context("cannot print the ready line")?;
        stdout.flush()?;
    }
    let lost_disk = tokio::select! {
        () = signals.wait() => false,
        () = running.failed() => true,
    };
    if lost_disk {
        running.abandon();
        return Ok(ExitCode::from(EXIT_LOST_DISK));
    }
    tokio::select! {
        () = running.stop() => {}
        // A second signal: whoever sends it does not want to wait.
        () = signals.wait() => tracing::warn!("told to stop twice: stopping without waiting"),
    }
    Ok(ExitCode::SUCCESS)
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
