//! `penstock-bench`: our broker and Apache Kafka, side by side on this machine, in one run.
//!
//! **What for.** Every figure that we publish comes from here. Both brokers run at the same time and take turns: while
//! one is measured the other is stopped (SIGSTOP), so the JVM stays warm without costing anything, and rounds are
//! interleaved (ours, Kafka, ours, …), because a shared machine drifts. Values are given as minimum, median and maximum
//! over the rounds, and compared as the ratio of the medians.
//!
//! **What it does not know.** How either broker works. It starts processes, sends bytes, and reads `/proc`. Kafka's
//! byte layouts come from `protocol`.
//!
//! **Where to start.** [`scenario`] has what is measured; [`contender`] how the brokers are started; [`replay`] and
//! [`latency`] are the cheap load generators beside librdkafka's `rdkafka_performance` ([`rdkafka`]).

mod apache;
mod clock;
mod contender;
mod latency;
mod machine;
mod process;
mod rdkafka;
mod replay;
mod report;
mod scenario;
mod wire;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use crate::contender::Brokers;
use crate::scenario::Bench;

/// Measures our broker and Apache Kafka side by side.
#[derive(Parser)]
#[command(name = "penstock-bench")]
struct Args {
    /// Our broker's binary, built with --release or --profile dist.
    #[arg(long)]
    broker: PathBuf,
    /// Rounds that count; each measures both brokers once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each latency measurement, and roughly of each throughput measurement.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// One round of one second: whether everything works, not how well.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Measure only scenarios whose name contains one of these.
    #[arg(long)]
    only: Vec<String>,
    /// Of the produce scenario, measure only the load whose row contains this.
    #[arg(long)]
    load: Option<String>,
    /// Measure only our broker.
    #[arg(long)]
    ours_only: bool,
    /// The directory with the jars of Apache Kafka.
    #[arg(long)]
    kafka_jars: PathBuf,
    /// librdkafka's load generator.
    #[arg(long)]
    rdkafka_performance: PathBuf,
    /// Where the brokers keep their data; a temporary directory unless given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The command that a person types to get the same table, as the table names it.
    #[arg(long, default_value = "penstock-bench")]
    command: String,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir().context("create a temporary directory")?;
    let data = args.data.as_deref().unwrap_or(temporary.path());
    let (rounds, seconds) = if args.quick { (1, 1) } else { (args.rounds.max(1), args.seconds.max(1)) };
    let machine = machine::describe(data);
    let bench = Bench {
        brokers: Brokers { ours: args.broker, jars: apache::Jars::open(&args.kafka_jars, data)? },
        performance: rdkafka::Performance::at(args.rdkafka_performance),
        data,
        rounds,
        seconds,
        ours_only: args.ours_only,
        load: args.load,
    };
    let (began, load) = (machine::date(), machine::load());
    let started = clock::now();
    let report =
        bench.run(&args.only, |line| say(&format!("{:>4} s  {line}", started.elapsed().as_secs())))?;
    print(&format!(
        "Penstock against Apache Kafka {}, {began}, on {} (load before: {load}), {rounds} rounds of {seconds} s, \
         {:.0} minutes, by `{}`.\n\n{}",
        apache::VERSION,
        machine,
        (started.elapsed().as_secs_f64() / 60.0).ceil(),
        args.command,
        report.table()
    ));
    Ok(())
}

#[expect(clippy::print_stderr, reason = "talk of a command-line program")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "the result of a command-line program")]
fn print(text: &str) {
    println!("{text}");
}
