//! The project's own commands: `cargo xtask generate` and friends.

use std::path::Path;

use clap::{Parser, Subcommand};

mod messages;

#[derive(Parser)]
#[command(about = "Penstock's development tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Rewrite generated files, or with --check only say whether they are up to date.
    Generate {
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    match Cli::parse().task {
        Task::Generate { check } => messages::generate(root, check).map(|_| ()),
    }
}
