//! `penstock-server`: API, console and reconciler in one process, with brokers on this machine or in Kubernetes.
//!
//! Only wiring is here: flags, the directory and its lock, certificates, connections, the order of start and stop.
//! What a request means is `api`'s and `console`'s, what happens then is `control`'s and the reconciler's.
//!
//! Invariants:
//! - The process serves even while Postgres is away: clusters keep healing, probes tell, requests get a problem.
//! - The one line on standard output is printed when the platform answers requests; logs go to standard error.
//! - A start that cannot succeed ends with one sentence and exit code 2.
//! - Brokers are not touched when the process ends, however it ends.

mod command;
mod config;
mod directory;
mod https;
mod identity;
mod owner;
mod platform;
mod probes;
mod provided;
mod signals;
mod substrate;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use config::{Arguments, Command};
use telemetry::logs;

/// Bad configuration: trying again without a change is useless.
const EXIT_BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match (arguments.command, arguments.serve) {
        (Some(Command::Openapi), _) => print_openapi(),
        (Some(Command::Migrate(database)), _) => in_runtime(logs::Format::Text, command::migrate(&database)),
        (Some(Command::IssueToken(wanted)), _) => {
            in_runtime(logs::Format::Text, command::issue_token(&wanted))
        }
        (None, serve) => in_runtime(serve.log_format, platform::run(serve)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(EXIT_BAD_CONFIGURATION)
        }
    }
}

fn in_runtime(
    log_format: logs::Format,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    logs::init(log_format);
    // Fails only when a provider was chosen before, and nothing runs before this.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads of the server")?;
    runtime.block_on(work)
}

fn print_openapi() -> anyhow::Result<()> {
    std::io::stdout().write_all(api::openapi().as_bytes()).context("cannot print the document")
}

fn complain(sentence: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(std::io::stderr(), "error: {sentence}");
}
