//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;
use uuid::Uuid;

/// Kafka clusters on request.
#[derive(Debug, Parser)]
#[command(name = "penstock", version, after_help = EXAMPLES, infer_subcommands = false)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) place: Place,

    /// How data is printed on standard output.
    #[arg(short, long, global = true, value_enum, default_value_t = Form::Text)]
    pub(crate) output: Form,

    /// Print only data and errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  penstock up                                   everything on this machine, in the foreground
  penstock create dev --app shop                a cluster for the application shop
  penstock topics create orders --partitions 8  a topic on your only cluster
  eval \"$(penstock env --export)\"               KAFKA_URL and its companions into this shell
  penstock down --purge                         stop everything and delete it";

/// Which Penstock is meant: the one that `up` started in a directory, or any other by address.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The directory of the Penstock on this machine.
    #[arg(long, global = true, env = "PENSTOCK_DIR", default_value = ".penstock")]
    pub(crate) dir: PathBuf,

    /// The address of another Penstock's API.
    #[arg(long, global = true, env = "PENSTOCK_API_URL", requires = "token_file")]
    pub(crate) api_url: Option<String>,

    /// The file that holds the API token for --api-url.
    #[arg(long, global = true, env = "PENSTOCK_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// The file with the CA that signed the certificate of --api-url, if it is a private one.
    #[arg(long, global = true, env = "PENSTOCK_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs: the API's fields.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring up everything on this machine, and keep it running until Ctrl-C.
    Up(Up),
    /// Stop everything that `up` started, brokers included.
    Down(Down),
    /// Send the flights of a year through Kafka, kill the broker in the middle, and compare the sums.
    Demo(Demo),
    /// List what can be asked for.
    Plans,
    /// List your add-ons.
    Resources,
    /// Ask for an add-on and wait until it can be used.
    Create(Create),
    /// Show an add-on.
    Info(Which),
    /// Wait until nothing is being changed about an add-on.
    Wait(Wait),
    /// Give an add-on back; its data is deleted.
    Destroy(Destroy),
    /// Topics of an add-on; without a verb, list them.
    Topics(Topics),
    /// Client certificates of an add-on; without a verb, list them.
    Credentials(Credentials),
    /// Print KAFKA_URL and its companions.
    Env(Env),
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Address of API and console. By default that of the last time, else 127.0.0.1:8443, else any free port.
    #[arg(long, env = "PENSTOCK_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// A Postgres to use instead of one that is started here.
    #[arg(long, env = "PENSTOCK_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<SecretString>,
    /// The plan of the add-on that is made the first time.
    #[arg(long, default_value = "dev")]
    pub(crate) plan: String,
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    /// Delete the directory too, with all data in it.
    #[arg(long)]
    pub(crate) purge: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the program and the data file are kept between runs.
    #[arg(long, env = "PENSTOCK_CACHE_DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Leave the broker alone.
    #[arg(long)]
    pub(crate) no_kill: bool,
    /// Use the first so many flights only.
    #[arg(long)]
    pub(crate) flights: Option<u32>,
}

/// One add-on; may be left out where there is only one.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The add-on's name or id.
    pub(crate) resource: Option<String>,
}

/// One add-on, named by a flag since the command has another argument.
#[derive(Debug, Args)]
pub(crate) struct OnResource {
    /// The add-on's name or id; may be left out where there is only one.
    #[arg(short, long, global = true)]
    pub(crate) resource: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The plan.
    pub(crate) plan: String,
    /// The add-on's name. With it the command can be repeated: what is there already is found.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The application to attach it to; it is made if there is none of this name.
    #[arg(short, long)]
    pub(crate) app: Option<String>,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Do not wait until it can be used.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

/// How long to wait.
#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// Give up watching after so long, for instance 90s or 10m; the operation goes on.
    #[arg(long, value_parser = duration, default_value = "10m")]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Destroy {
    /// The add-on's name or id.
    pub(crate) resource: String,
    /// The add-on's name once more, to say that you mean it.
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Do not wait until it is gone.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Topics {
    #[command(flatten)]
    pub(crate) on: OnResource,
    #[command(subcommand)]
    pub(crate) verb: Option<TopicsVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsVerb {
    /// List topics.
    List,
    /// Show one topic.
    Info(TopicName),
    /// Make a topic and wait until it is there.
    Create(TopicsCreate),
    /// Change how long records are kept, or compaction.
    Change(TopicsChange),
    /// Remove a topic with its records.
    Delete(TopicsDelete),
}

#[derive(Debug, Args)]
pub(crate) struct TopicName {
    /// The topic.
    pub(crate) topic: String,
}

#[derive(Debug, Args)]
pub(crate) struct TopicsCreate {
    /// The topic.
    pub(crate) topic: String,
    /// Partitions; by default the plan's.
    #[arg(long)]
    pub(crate) partitions: Option<u32>,
    /// Replicas of each partition; by default the plan's.
    #[arg(long)]
    pub(crate) replication_factor: Option<u16>,
    /// How long records are kept, for instance 36h or 7d; by default the plan's.
    #[arg(long, value_parser = duration)]
    pub(crate) retention: Option<Duration>,
    /// Keep of each key only the latest record.
    #[arg(long)]
    pub(crate) compaction: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct TopicsChange {
    /// The topic.
    pub(crate) topic: String,
    /// How long records are kept, for instance 36h or 7d.
    #[arg(long, value_parser = duration, group = "change")]
    pub(crate) retention: Option<Duration>,
    /// Whether of each key only the latest record is kept.
    #[arg(long, group = "change")]
    pub(crate) compaction: Option<bool>,
}

#[derive(Debug, Args)]
pub(crate) struct TopicsDelete {
    /// The topic.
    pub(crate) topic: String,
    /// The topic's name once more, to say that you mean it.
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Credentials {
    #[command(flatten)]
    pub(crate) on: OnResource,
    #[command(subcommand)]
    pub(crate) verb: Option<CredentialsVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialsVerb {
    /// List credentials.
    List,
    /// Make a credential. Its key is shown this once, or written to a directory.
    Create(CredentialsCreate),
    /// Take a credential back.
    Revoke(CredentialsRevoke),
}

#[derive(Debug, Args)]
pub(crate) struct CredentialsCreate {
    /// A name of your choice.
    pub(crate) name: String,
    /// Write client.pem, client.key and ca.pem there, readable for you only, instead of printing them.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CredentialsRevoke {
    /// The credential's id.
    pub(crate) credential: Uuid,
}

#[derive(Debug, Args)]
pub(crate) struct Env {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print `export` statements for a shell.
    #[arg(long)]
    pub(crate) export: bool,
}

/// `90s`, `10m`, `36h`, `7d`; a bare number would leave the unit to a guess.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("a number and a unit: 90s, 10m, 36h or 7d".to_owned()),
    };
    let number: u64 =
        number.parse().map_err(|_| "a whole number and a unit: 90s, 10m, 36h or 7d".to_owned())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "too long".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("36h"), Ok(Duration::from_secs(129_600)));
        assert!(duration("36").is_err());
        assert!(duration("h").is_err());
        assert!(duration("99999999999999999999d").is_err());
    }
}
