//! What the process is told: flags, or the same names as `PENSTOCK_…` in the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
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
    pub(crate) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the OpenAPI document of the API and end.
    Openapi,
    /// Bring the database's schema up to date and end. Servers do it too when they start; this lets a deployment do it
    /// first, once.
    Migrate(Database),
    /// Print a new token of an account and end; the account is made if it is not there.
    IssueToken(IssueToken),
}

/// Where Postgres is.
#[derive(Debug, clap::Args)]
pub(crate) struct Database {
    /// Where Postgres is: postgres://user:password@host:port/database.
    #[arg(long, env = "PENSTOCK_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: SecretString,
}

/// For whom a token is.
#[derive(Debug, clap::Args)]
pub(crate) struct IssueToken {
    #[command(flatten)]
    pub(crate) database: Database,

    /// The name of the account.
    #[arg(long)]
    pub(crate) account: String,

    /// What lists of tokens call it.
    #[arg(long, default_value = "issued by the operator of the platform")]
    pub(crate) label: String,
}

/// How to serve. What is needed for that is optional here, since a command may stand in place of all of it, in an
/// environment that tells only some.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Directory for keys, certificates and, with the local substrate, clusters. One server at a time.
    #[arg(long, env = "PENSTOCK_DIR")]
    dir: Option<PathBuf>,

    /// Address of the API and the console. Port 0 takes any free one; the ready line says which.
    #[arg(long, env = "PENSTOCK_LISTEN", default_value = "127.0.0.1:8443")]
    pub(crate) listen: SocketAddr,

    /// Host names and addresses under which clients reach the server, besides localhost: they go into its certificate.
    #[arg(long = "public-name", env = "PENSTOCK_PUBLIC_NAMES", value_delimiter = ',')]
    pub(crate) public_names: Vec<String>,

    /// Directory with the server's certificate chain (tls.crt), its key (tls.key) and, for clients to pin, its authority
    /// (ca.crt), as Kubernetes mounts a TLS secret. Read again when it changes. By default the server makes its own.
    #[arg(long, env = "PENSTOCK_TLS")]
    pub(crate) tls: Option<PathBuf>,

    /// File with the key under which secrets in the database are sealed: 32 bytes in base64. Every server of a database
    /// needs the same. By default DIR/master.key, made when it is not there.
    #[arg(long, env = "PENSTOCK_MASTER_KEY")]
    pub(crate) master_key: Option<PathBuf>,

    /// Where Postgres is: postgres://user:password@host:port/database.
    #[arg(long, env = "PENSTOCK_DATABASE_URL", hide_env_values = true)]
    database_url: Option<SecretString>,

    /// What lists call the place where clusters run.
    #[arg(long, env = "PENSTOCK_REGION", default_value = "local")]
    pub(crate) region: String,

    /// What brokers run on.
    #[arg(long, env = "PENSTOCK_SUBSTRATE", value_enum, default_value_t = Substrate::Local)]
    pub(crate) substrate: Substrate,

    /// The broker program of the local substrate. By default the one beside this program.
    #[arg(long, env = "PENSTOCK_BROKER_BINARY")]
    pub(crate) broker_binary: Option<PathBuf>,

    /// The kubeconfig file of the Kubernetes substrate. By default the one that KUBECONFIG names, else the account of the
    /// pod that the server runs in, else ~/.kube/config.
    #[arg(long, env = "PENSTOCK_KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The namespace of all clusters in Kubernetes. By default that of the kubeconfig's context, or of the pod.
    #[arg(long, env = "PENSTOCK_KUBE_NAMESPACE")]
    pub(crate) kube_namespace: Option<String>,

    /// The storage class of brokers in Kubernetes. By default Kubernetes chooses.
    #[arg(long, env = "PENSTOCK_STORAGE_CLASS")]
    pub(crate) storage_class: Option<String>,

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

impl Serve {
    /// The directory, which serving needs.
    pub(crate) fn dir(&self) -> anyhow::Result<&Path> {
        self.dir.as_deref().context("--dir (or PENSTOCK_DIR) is needed; see --help")
    }

    /// Where Postgres is, which serving needs.
    pub(crate) fn database_url(&self) -> anyhow::Result<&SecretString> {
        self.database_url.as_ref().context("--database-url (or PENSTOCK_DATABASE_URL) is needed; see --help")
    }
}

/// What brokers run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Substrate {
    /// Processes on this machine.
    Local,
    /// Pods, kept by penstock-operator.
    Kubernetes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from([&["penstock-server"], arguments].concat())
    }

    #[test]
    fn serving_needs_a_directory_and_a_database() {
        let serve = parse(&["--dir", "/d", "--database-url", "postgres://p"]).unwrap().serve;
        assert_eq!((serve.substrate, serve.dir().unwrap()), (Substrate::Local, Path::new("/d")));
        serve.database_url().unwrap();
        let serve = parse(&["--substrate", "kubernetes", "--kube-namespace", "fleet"]).unwrap().serve;
        assert_eq!(
            (serve.substrate, &*serve.kube_namespace.clone().unwrap()),
            (Substrate::Kubernetes, "fleet")
        );
        assert!(serve.dir().unwrap_err().to_string().contains("--dir"));
        assert!(serve.database_url().unwrap_err().to_string().contains("--database-url"));
    }

    #[test]
    fn a_command_needs_what_it_uses_and_nothing_of_serving() {
        let arguments = parse(&["migrate", "--database-url", "postgres://p"]).unwrap();
        assert!(matches!(arguments.command, Some(Command::Migrate(_))));
        let arguments = parse(&["issue-token", "--database-url", "p", "--account", "acme"]).unwrap();
        assert!(matches!(arguments.command, Some(Command::IssueToken(_))));
        assert!(parse(&["issue-token", "--database-url", "p"]).is_err());
        assert!(parse(&["--dir", "/d", "migrate", "--database-url", "p"]).is_err());
    }
}
