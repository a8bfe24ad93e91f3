//! `penstock demo`: a year of flights through Kafka by a client that others wrote, with the broker killed in the middle.
//!
//! The topic is made through the API. What is produced and read is `demo/flights.py`'s business; this side prepares it,
//! kills the broker when half of the events are under way, watches it come back by itself, and tells the story.

mod python;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use api_types::topic::{NewTopic, State};
use client::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use uuid::Uuid;

use super::destroy::is_absent;
use crate::arguments::{Demo, Place};
use crate::connection;
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};
use crate::up_file::UpFile;

const TOPIC: &str = "flights";
const PARTITIONS: u32 = 8;

/// How long topics may take to come and go, and the broker to come back.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What `flights.py` prints at its end.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    flights: u64,
    acknowledged: u64,
    lost: u64,
    produce_seconds: f64,
    seconds: f64,
    longest_silence_seconds: f64,
    groups: Vec<Group>,
    /// From the kill to the new process; none when nothing was killed.
    broker_back_after_seconds: Option<f64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Group {
    name: String,
    read: u64,
    read_again: u64,
    error: Option<String>,
    equal: bool,
    table: serde_json::Value,
}

pub(crate) async fn run(place: &Place, wish: &Demo, output: &Output) -> Result<(), Failure> {
    let up = UpFile::read(&place.dir)?;
    let client = connection::client(place)?;
    let kit = python::prepare(&cache_dir(wish), output).await?;
    let cluster = client.resource(&up.resource).await?.cluster.id;
    fresh_topic(&client, &up.resource).await?;
    output.say(&format!("Topic {TOPIC} with {PARTITIONS} partitions on {}.", up.resource));
    let child = start(&kit, &up, wish).map_err(Failure::internal)?;
    let broker = (!wish.no_kill).then(|| Broker::of(&place.dir, cluster));
    let outcome = follow(child, broker, output).await?;
    output.data(&outcome, told)?;
    let equal = outcome.groups.iter().all(|group| group.equal && group.error.is_none());
    if equal && outcome.acknowledged == outcome.flights && outcome.lost == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "demo-differs", "what was read is not what the file says")
        .why(outcome.groups.iter().filter_map(|group| group.error.clone()).collect::<Vec<_>>().join("; ")))
}

fn cache_dir(wish: &Demo) -> PathBuf {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    let caches =
        || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cache")));
    let demo = || caches().unwrap_or_else(std::env::temp_dir).join("penstock/demo");
    wish.cache_dir.clone().unwrap_or_else(demo)
}

/// A topic without records: one of an earlier run is removed first.
async fn fresh_topic(client: &Client, resource: &str) -> Result<(), Failure> {
    let start = Instant::now();
    match client.delete_topic(resource, TOPIC).await {
        Err(error) if !is_absent(&error) => return Err(error.into()),
        _ => {}
    }
    while client.topics(resource).await?.iter().any(|topic| topic.name == TOPIC) {
        patience(start, "the topic of an earlier run does not go away")?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let wish = NewTopic { name: TOPIC.to_owned(), partitions: Some(PARTITIONS), ..NewTopic::default() };
    client.create_topic(resource, &wish).await?;
    while client.topic(resource, TOPIC).await?.state != State::Ready {
        patience(start, "the topic does not come about")?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn patience(start: Instant, what: &str) -> Result<(), Failure> {
    if start.elapsed() < SETTLED_WITHIN {
        return Ok(());
    }
    Err(Failure::new(Exit::StillWaiting, "still-waiting", what)
        .advice("see `penstock topics` and `penstock info`"))
}

fn start(kit: &python::Kit, up: &UpFile, wish: &Demo) -> anyhow::Result<Child> {
    let mut command = Command::new(&kit.python);
    command.arg(&kit.script).arg("--data").arg(&kit.data);
    command.args(["--topic", TOPIC, "--bootstrap", &up.kafka_url.replace("kafka+ssl://", "")]);
    command.arg("--ca").arg(&up.kafka_ca_file).arg("--cert").arg(&up.kafka_cert_file);
    command.arg("--key").arg(&up.kafka_key_file);
    if let Some(flights) = wish.flights {
        command.args(["--flights", &flights.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command.spawn().with_context(|| format!("cannot start {}", kit.python.display()))
}

/// What `flights.py` says while it works.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Said {
    Read { flights: u64 },
    Progress { sent: u64, acknowledged: u64, read: Vec<u64> },
    Half { acknowledged: u64 },
    Result(serde_json::Value),
}

async fn follow(mut child: Child, broker: Option<Broker>, output: &Output) -> Result<Outcome, Failure> {
    let stdout = child.stdout.take().context("the demo has no output").map_err(Failure::internal)?;
    let mut lines = BufReader::new(stdout).lines();
    let mut back_after = None;
    let mut result = None;
    while let Some(line) =
        lines.next_line().await.context("cannot read what the demo says").map_err(Failure::internal)?
    {
        match serde_json::from_str(&line)
            .with_context(|| format!("the demo said {line:?}"))
            .map_err(Failure::internal)?
        {
            Said::Read { flights } => {
                output.say(&format!("{flights} flights to send; two groups read along."))
            }
            Said::Progress { sent, acknowledged, read } => {
                output.say(&format!("  sent {sent}, acknowledged {acknowledged}, read {read:?}"));
            }
            Said::Half { acknowledged } => {
                if let Some(broker) = &broker {
                    let pid = broker.kill().map_err(Failure::internal)?;
                    output.say(&format!(
                        "Killed the broker (process {pid}) with -9 after {acknowledged} acknowledged."
                    ));
                    let took = broker.back(pid).await?;
                    output.say(&format!("It came back by itself after {took:.2} s."));
                    back_after = Some(took);
                }
            }
            Said::Result(value) => result = Some(value),
        }
    }
    let status = child.wait().await.context("cannot wait for the demo").map_err(Failure::internal)?;
    let Some(mut result) = result else {
        return Err(Failure::new(Exit::Failed, "demo-failed", format!("the demo ended early: {status}")));
    };
    result["broker_back_after_seconds"] = serde_json::json!(back_after);
    serde_json::from_value(result).context("the demo's result").map_err(Failure::internal)
}

/// The one broker of a `dev` cluster on this machine, known by the file that it writes when it listens.
struct Broker {
    file: PathBuf,
}

impl Broker {
    fn of(dir: &Path, cluster: Uuid) -> Broker {
        Broker { file: dir.join(format!("clusters/{cluster}/brokers/0/data/broker.json")) }
    }

    fn pid(&self) -> anyhow::Result<i32> {
        #[derive(Deserialize)]
        struct Listening {
            pid: i32,
        }
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("cannot read {}", self.file.display()))?;
        let listening: Listening =
            serde_json::from_str(&text).context("broker.json is not what a broker writes")?;
        Ok(listening.pid)
    }

    fn kill(&self) -> anyhow::Result<i32> {
        let pid = self.pid()?;
        let process = Pid::from_raw(pid).context("broker.json names no process")?;
        kill_process(process, Signal::KILL).context("cannot kill the broker")?;
        Ok(pid)
    }

    /// Waits for a broker that is not the killed one; says how many seconds that took.
    async fn back(&self, killed: i32) -> Result<f64, Failure> {
        let start = Instant::now();
        while self.pid().is_ok_and(|pid| pid == killed) || !self.file.exists() {
            patience(start, "the broker does not come back")?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

fn told(outcome: &Outcome) -> String {
    let rows: Vec<[String; 4]> = outcome
        .groups
        .iter()
        .map(|group| {
            let verdict = if group.equal { "equal to the file" } else { "DIFFERENT from the file" };
            [group.name.clone(), group.read.to_string(), group.read_again.to_string(), verdict.to_owned()]
        })
        .collect();
    let back = outcome.broker_back_after_seconds.map(|seconds| {
        format!("killed -9 in the middle, back by itself after {seconds:.2} s; longest silence for the producer {:.2} s\n", outcome.longest_silence_seconds)
    });
    format!(
        "{} flights, {} acknowledged, {} lost; produced in {:.1} s, all read after {:.1} s\n{}\n{}",
        outcome.flights,
        outcome.acknowledged,
        outcome.lost,
        outcome.produce_seconds,
        outcome.seconds,
        back.unwrap_or_default(),
        table(["GROUP", "READ", "AGAIN", "SUMS"], &rows),
    )
}
