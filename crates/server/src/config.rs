//! What the process is told: flags, or the same names as `PENSTOCK_…` in the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use secrecy::SecretString;
use telemetry::logs;

/// The Penstock server: API, console and reconciler.
#[derive(Debug, Parser)]
#[command(name = "penstock-server", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Option<Serve>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the OpenAPI document of the API and end.
    Openapi,
}

/// How to serve.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Directory for keys, certificates and, with the local substrate, clusters. One server at a time.
    #[arg(long, env = "PENSTOCK_DIR")]
    pub(crate) dir: PathBuf,

    /// Address of the API and the console. Port 0 takes any free one; the ready line says which.
    #[arg(long, env = "PENSTOCK_LISTEN", default_value = "127.0.0.1:8443")]
    pub(crate) listen: SocketAddr,

    /// Host names and addresses under which clients reach the server, besides localhost: they go into its certificate.
    #[arg(long = "public-name", env = "PENSTOCK_PUBLIC_NAMES", value_delimiter = ',')]
    pub(crate) public_names: Vec<String>,

    /// Where Postgres is: postgres://user:password@host:port/database.
    #[arg(long, env = "PENSTOCK_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: SecretString,

    /// What brokers run on.
    #[arg(long, env = "PENSTOCK_SUBSTRATE", value_enum, default_value_t = Substrate::Local)]
    pub(crate) substrate: Substrate,

    /// The broker program. By default the one beside this program.
    #[arg(long, env = "PENSTOCK_BROKER_BINARY")]
    pub(crate) broker_binary: Option<PathBuf>,

    /// Keep an account of this name, with a valid token of it in DIR/owner.token.
    #[arg(long, env = "PENSTOCK_OWNER")]
    pub(crate) owner: Option<String>,

    /// Stop when standard input ends: whoever started the server takes it along, even when killed.
    #[arg(long)]
    pub(crate) stop_with_stdin: bool,

    /// How log lines look: text or json.
    #[arg(long, env = "PENSTOCK_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: logs::Format,
}

/// What brokers run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Substrate {
    /// Processes on this machine.
    Local,
}
