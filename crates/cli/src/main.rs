//! `penstock`: the command line for developers, and the whole platform on one machine with `penstock up`.
//!
//! Rules that hold for every command: data goes to standard output and nothing else does; talk goes to standard error;
//! `--output json` prints one JSON document with the API's fields; exit codes are those of [`failure::Exit`]; a wait
//! says what it waits for, and Ctrl-C ends the watching, never the operation.
//!
//! What it deliberately does not know: SQL, Kafka's protocol, rules about plans. It talks to the REST API like
//! everybody else; only `up`, `down` and `demo` know that everything is on this machine.
//!
//! Start reading at [`arguments`], then [`command`]; `up` is in [`up`].

mod arguments;
mod command;
mod connection;
mod failure;
mod output;
mod progress;
mod up;
mod up_file;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.output, arguments.quiet);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::internal(error.into()).report(&output),
    };
    match runtime.block_on(run(arguments, &output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&output),
    }
}

async fn run(arguments: Arguments, output: &Output) -> Result<(), Failure> {
    let place = arguments.place;
    match arguments.command {
        Command::Up(wish) => up::run(&place.dir, &wish, output).await,
        Command::Down(wish) => up::down::run(&place.dir, &wish, output).await,
        Command::Demo(wish) => command::demo::run(&place, &wish, output).await,
        Command::Plans => command::plans::run(&place, output).await,
        Command::Resources => command::resources::list(&place, output).await,
        Command::Create(wish) => command::create::run(&place, &wish, output).await,
        Command::Info(which) => command::resources::show(&place, &which, output).await,
        Command::Wait(wish) => command::wait::run(&place, &wish, output).await,
        Command::Destroy(wish) => command::destroy::run(&place, &wish, output).await,
        Command::Topics(wish) => command::topics::run(&place, wish, output).await,
        Command::Credentials(wish) => command::credentials::run(&place, wish, output).await,
        Command::Env(which) => command::credentials::env(&place, &which, output).await,
    }
}
