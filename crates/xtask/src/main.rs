//! The project's own commands, `cargo xtask …`: everything that a person or CI does with this repository.
//!
//! One module a command; [`run`] starts other programs, [`system`] knows which of them a machine must have.
//! It builds the product but, apart from the private Postgres for tests, links nothing of it: what the
//! commands prove, they prove about the programs that users start.

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod charts;
mod check;
mod deny;
mod generate;
mod install;
mod kube;
mod layers;
mod messages;
mod run;
mod shape;
mod sqlx_data;
mod suites;
mod system;
mod test;
mod up;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Penstock's development tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build what is missing and bring the platform up on this machine.
    Up(up::Options),
    /// Run every test of the project.
    Test(test::Options),
    /// Measure our broker and Apache Kafka side by side.
    Bench(bench::Options),
    /// Run tests that other people wrote against our broker.
    Suites(suites::Options),
    /// A real Kubernetes on this machine, for tests.
    #[command(subcommand)]
    Kube(kube::Task),
    /// Format, lints, licences, layers and generated files: whether a change may be merged.
    Check,
    /// Rewrite generated files: protocol messages, OpenAPI, the store's query data.
    Generate,
    /// Whether each crate uses only the layers below it.
    Layers,
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    let done = match Cli::parse().task {
        Task::Up(options) => up::run(root, &options),
        Task::Test(options) => test::run(root, &options),
        Task::Bench(options) => bench::run(root, &options),
        Task::Suites(options) => suites::run(root, &options),
        Task::Kube(task) => kube::run(root, &task),
        Task::Check => check::run(root),
        Task::Generate => generate::run(root),
        Task::Layers => layers::run(root),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
