//! The scenario files of `sim`, played with real processes. Left out are those that lie about what is seen or done,
//! which only a simulation can, and those that would take long in real time.

use std::path::PathBuf;
use std::time::Duration;

use agent::Dispatch;
use agent::clock::System;
use futures_util::StreamExt;
use model::{BrokerId, ClusterId, ClusterIntent, ClusterStatus};
use rustix::process::{Pid, Signal, kill_process};
use sim::scenario::{Command, Disturbance, Failure, Scenario, Stage, files, play};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::fixture::{Server, kill};
use crate::layout::BrokerDir;

/// A scenario that lets more time pass than this is left to the simulation.
const LONGEST: Duration = Duration::from_secs(9);

/// Real processes on a machine that builds at the same time take longer than simulated ones.
const SLOWER: u32 = 10;

/// What is played on: real processes, and the world's time.
struct Processes {
    runtime: Runtime,
    server: Option<Server>,
    cluster: ClusterId,
    status: Option<ClusterStatus>,
    /// A certificate that a real broker accepts.
    clients_ca: String,
    /// Whether the processes are the stand-in, which misbehaves on request.
    fakes: bool,
}

impl Processes {
    fn server(&self) -> &Server {
        self.server.as_ref().expect("it is only missing while it is restarted")
    }

    fn dir(&self, broker: BrokerId) -> BrokerDir {
        self.server().local.root().cluster(self.cluster).broker(broker)
    }

    fn pid(&self, broker: BrokerId) -> Option<i32> {
        let text = std::fs::read_to_string(self.dir(broker).record()).ok()?;
        serde_json::from_str::<crate::layout::Record>(&text).ok()?.process.map(|process| process.pid)
    }

    fn end(mut self) {
        let server = self.server.take().expect("it is only missing while it is restarted");
        self.runtime.block_on(server.end());
    }
}

impl Stage for Processes {
    fn publish(&mut self, mut intent: ClusterIntent) {
        intent.client_cas = vec![self.clients_ca.clone()];
        self.runtime.block_on(self.server().dispatch.publish(&intent)).unwrap();
    }

    fn disturb(&mut self, disturbance: &Disturbance) -> bool {
        match disturbance {
            Disturbance::Kill(broker) => self.pid(*broker).is_some_and(|pid| {
                kill(pid);
                true
            }),
            Disturbance::RestartAgent => {
                let server = self.server.take().expect("it is only missing while it is restarted");
                self.server = Some(self.runtime.block_on(server.restart()));
                true
            }
            Disturbance::Behave(broker, behaviour) if self.fakes => {
                let dir = self.dir(*broker);
                std::fs::create_dir_all(dir.path()).unwrap();
                std::fs::write(dir.path().join("fake"), behaviour.in_words()).unwrap();
                true
            }
            Disturbance::Silence(broker, span) => {
                self.pid(*broker).and_then(Pid::from_raw).is_some_and(|pid| {
                    kill_process(pid, Signal::STOP).unwrap();
                    let span = *span;
                    self.runtime.spawn(async move {
                        tokio::time::sleep(span).await;
                        // It may have been ended meanwhile.
                        let _ = kill_process(pid, Signal::CONT);
                    });
                    true
                })
            }
            _ => false,
        }
    }

    fn pass(&mut self, span: Duration, until: &dyn Fn(&ClusterStatus) -> bool) -> bool {
        let board = self.server().dispatch.board().clone();
        let status = &mut self.status;
        self.runtime.block_on(async {
            let mut statuses = Box::pin(board.follow());
            let waiting = async {
                while let Some(next) = statuses.next().await {
                    let holds = until(&next);
                    *status = Some(next);
                    if holds {
                        return;
                    }
                }
            };
            tokio::time::timeout(span, waiting).await.is_ok()
        })
    }

    fn status(&mut self) -> Option<ClusterStatus> {
        self.server().dispatch.board().get(self.cluster)
    }

    fn starts(&mut self, broker: BrokerId) -> u32 {
        // The stand-in says when it has started, the broker when it is ready.
        let log = std::fs::read_to_string(self.dir(broker).log()).unwrap_or_default();
        let started = |line: &&str| *line == "started" || line.starts_with("ready node.id=");
        u32::try_from(log.lines().filter(started).count()).unwrap()
    }

    fn announce(&mut self, _text: &str) {}
}

/// Plays every scenario that can be played with this binary, and returns their names.
fn play_all(binary: Option<PathBuf>) -> Vec<String> {
    let fakes = binary.is_none();
    let mut played = Vec::new();
    for (name, path) in files().unwrap() {
        let scenario = Scenario::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if scenario.passes() > LONGEST || scenario.lines.iter().any(|line| !can_play(&line.command, fakes)) {
            continue;
        }
        let runtime = Runtime::new().unwrap();
        let server =
            runtime.block_on(async { binary.clone().map_or_else(Server::start, Server::start_with) });
        let cluster = ClusterId(Uuid::new_v4());
        let clients_ca = keyring::pki::Ca::new("clients", System::now()).unwrap().cert_pem().to_owned();
        let mut stage = Processes { runtime, server: Some(server), cluster, status: None, clients_ca, fakes };
        match play(&scenario.patiently(SLOWER), cluster, &mut stage) {
            Ok(()) => played.push(name),
            Err(failure @ (Failure::Unmet { .. } | Failure::NotHere { .. } | Failure::Syntax { .. })) => {
                panic!("{name}: {failure}")
            }
        }
        stage.end();
    }
    played
}

fn can_play(command: &Command, fakes: bool) -> bool {
    match command {
        Command::Disturb(Disturbance::Kill(_) | Disturbance::RestartAgent | Disturbance::Silence(..)) => true,
        Command::Disturb(Disturbance::Behave(..)) => fakes,
        Command::Disturb(_) => false,
        Command::Want(sim::scenario::Want::Release(_)) => false,
        Command::Want(_) | Command::Pass(_) | Command::Await(..) | Command::Expect(_) => true,
    }
}

#[test]
fn scenarios_of_the_simulation_go_the_same_way_with_real_processes() {
    let played = play_all(None);
    for expected in
        ["bad-configuration", "crash", "recovery", "removal-during-a-roll", "rolling", "slow-start"]
    {
        assert!(played.iter().any(|name| name == expected), "{expected} is not among {played:?}");
    }
}

/// Needs the broker's binary, which is another crate's: built by `cargo xtask test`, or by `cargo build -p broker`.
#[test]
fn scenarios_go_the_same_way_with_the_real_broker() {
    let played = play_all(Some(testkit::process::binary("penstock-broker")));
    assert!(played.iter().any(|name| name == "crash"), "{played:?}");
}
