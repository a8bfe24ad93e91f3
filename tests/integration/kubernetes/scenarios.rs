//! The scenario files of `sim`, unchanged, on a real Kubernetes: intents are published as the server publishes them,
//! and what the operator says of them is compared with what the file expects.
//!
//! Brokers are the real ones, in an image with a stand-in (`stand_in.rs`) that is started in their place: it asks
//! [`Stage`] what it is to do, does that, and then becomes the broker. So the stage knows exactly how many were started.
//!
//! Each file is named here once, as played or as left out; a new one that is not fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use agent::Dispatch as _;
use dispatch_kube::{Config, Connection, Placement, Source};
use futures_util::StreamExt as _;
use model::condition::Truth;
use model::{BrokerId, ClusterId, ClusterIntent, ClusterStatus, Reason};
use sim::scenario::{self, Command, Disturbance, Scenario, files, play};
use sim::world::Behaviour;
use testkit::process::kill_9;
use tokio::runtime::Runtime;

use super::heal::broker_process;
use super::{Kube, Namespace, RELEASES, SYSTEM, Stopwatch};

/// What becomes of a broker that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    /// Its process: the kubelet starts it again.
    Process,
    /// Its pod: only the operator makes another one.
    Pod,
}

/// In namespaces beside each other.
const PLAYED: &[(&str, Kill)] = &[
    ("bad-change", Kill::Process),
    ("broken-roll", Kill::Process),
    ("crash", Kill::Process),
    ("crash", Kill::Pod),
    ("crash-loop", Kill::Process),
    ("lost-disk", Kill::Process),
    // A kubelet does not know of the pause and starts a killed process again.
    ("pause-stop-resume", Kill::Pod),
    ("recovery", Kill::Process),
    ("removal-during-a-roll", Kill::Process),
    ("removal-in-the-middle", Kill::Process),
    ("slow-start", Kill::Process),
];

/// These restart the operator, which is everybody's. Beside each other, where one of them restarts it for the other too.
const PLAYED_ALONE: &[(&str, Kill)] =
    &[("missing-release", Kill::Process), ("server-restart", Kill::Process)];

/// What only a simulation can do.
const LIES: &str = "it lies about what is seen or done, and a real API server does not";

const LEFT_OUT: &[(&str, &str)] = &[
    (
        "bad-configuration",
        "it counts starts, and a kubelet starts again by itself what ended, ever more rarely",
    ),
    ("crash-after-peace", "it needs two minutes of peace, and time cannot be made to pass here"),
    ("failing-substrate", LIES),
    ("gap", LIES),
    ("lost-action", LIES),
    ("repeated-action", LIES),
    ("rolling", "it looks at the roll after three seconds, and a pod is replaced in four"),
    ("silent", "a kubelet ends a container that answers nothing for a minute, before its five are over"),
    ("stale-view", LIES),
    ("stop-meets-recovery", "real processes would have to hit a window of milliseconds"),
];

/// Pods take longer than simulated processes, and longest when many start at once.
const SLOWER: u32 = 10;

/// So many times as long takes what a broker is told to take long for, so that what must happen meanwhile does so on a
/// busy machine too.
const LONGER: u32 = 2;

/// A longer time than this is not let pass. In the files that are played nothing comes of time itself: it passes to show
/// that something does not happen, and what does happen here by mistake happens within seconds.
const LONGEST: Duration = Duration::from_secs(8);

/// How long the operator may take to notice that a broker was killed.
const NOTICED_IN: Duration = Duration::from_secs(5);

#[test]
fn every_scenario_is_played_here_or_left_out_for_a_reason() {
    let ours = PLAYED.iter().chain(PLAYED_ALONE).map(|(name, _)| *name);
    let ours: BTreeSet<String> =
        ours.chain(LEFT_OUT.iter().map(|(name, _)| *name)).map(str::to_owned).collect();
    let files: BTreeSet<String> = files().expect("the scenario files").into_keys().collect();
    assert_eq!(ours, files, "each file has its place in a list of kubernetes/scenarios.rs");
}

#[test]
fn scenarios_of_the_simulation_go_the_same_way_on_kubernetes() {
    let Some((kube, _guard)) = Kube::beside_others() else { return };
    let Some(stage) = Stage::get() else { return };
    play_all(kube, stage, PLAYED).unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn scenarios_that_restart_the_operator_go_the_same_way_on_kubernetes() {
    let Some((kube, _guard)) = Kube::alone() else { return };
    let Some(stage) = Stage::get() else { return };
    let played = play_all(kube, stage, PLAYED_ALONE);
    // Whatever came of it, the others find the operator as they know it.
    kube.install_operator(RELEASES);
    played.unwrap_or_else(|failed| panic!("{failed}"));
}

/// Plays files beside each other, or says what went another way.
fn play_all(kube: &'static Kube, stage: &'static Stage, files: &[(&str, Kill)]) -> Result<(), String> {
    thread::scope(|threads| {
        let playing: Vec<_> =
            files.iter().map(|(name, kill)| threads.spawn(|| play_one(kube, stage, name, *kill))).collect();
        let ended = playing.into_iter().map(|one| one.join().unwrap_or_else(|_| Err("a panic".to_owned())));
        let failed: Vec<String> = ended.filter_map(Result::err).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
    })
}

/// Plays a file in a namespace of its own, or says what went another way.
fn play_one(kube: &'static Kube, stage: &'static Stage, name: &str, kill: Kill) -> Result<(), String> {
    let watch = Stopwatch::start();
    let text = std::fs::read_to_string(&files().expect("the scenario files")[name]).expect("a scenario");
    let scenario = shortened(Scenario::parse(&text).expect("a scenario")).patiently(SLOWER);
    let namespace = kube.namespace();
    let cluster = ClusterId(uuid::Uuid::new_v4());
    let mut pods = Pods::new(&namespace, stage, cluster, kill);
    let played = play(&scenario, cluster, &mut pods);
    pods.end();
    watch.tell(&format!("{name}, where a {kill:?} is killed"));
    played.map_err(|failure| format!("{name} ({kill:?}): {failure}\n{}", namespace.shown()))
}

fn shortened(mut scenario: Scenario) -> Scenario {
    for line in &mut scenario.lines {
        if let Command::Pass(span) = &mut line.command {
            *span = (*span).min(LONGEST);
        }
    }
    scenario
}

/// One cluster, as its publisher sees it.
struct Pods<'a> {
    namespace: &'a Namespace,
    stage: &'static Stage,
    cluster: ClusterId,
    kill: Kill,
    clients_ca: String,
    runtime: Runtime,
    dispatch: dispatch_kube::Kubernetes,
    watch: Stopwatch,
}

impl<'a> Pods<'a> {
    fn new(namespace: &'a Namespace, stage: &'static Stage, cluster: ClusterId, kill: Kill) -> Pods<'a> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        crate::platform::choose_cryptography();
        let source = Source {
            kubeconfig: Some(namespace.kube.kubeconfig.clone()),
            namespace: Some(namespace.name.clone()),
        };
        let dispatch = runtime.block_on(async {
            let Connection { client, namespace } = Connection::open(&source).await.expect("an API server");
            let config = Config { namespace, placement: Placement::default() };
            let metrics = dispatch_kube::Metrics::register(&telemetry::Registry::new());
            dispatch_kube::Kubernetes::start(client, config, metrics)
        });
        let ca = rcgen::generate_simple_self_signed(["clients".to_owned()]).expect("a certificate");
        Pods {
            namespace,
            stage,
            cluster,
            kill,
            clients_ca: ca.cert.pem(),
            runtime,
            dispatch,
            watch: Stopwatch::start(),
        }
    }

    fn end(&self) {
        self.runtime.block_on(self.dispatch.stop());
    }
}

impl scenario::Stage for Pods<'_> {
    fn publish(&mut self, mut intent: ClusterIntent) {
        intent.client_cas = vec![self.clients_ca.clone()];
        self.runtime.block_on(self.dispatch.publish(&intent)).expect("published");
    }

    fn disturb(&mut self, disturbance: &Disturbance) -> bool {
        let kube = self.namespace.kube;
        match disturbance {
            Disturbance::Kill(broker) => {
                let pod = format!("orders-broker-{broker}");
                let before = self.status().and_then(|status| seen(&status, *broker));
                match self.kill {
                    Kill::Pod => {
                        self.namespace.run(&["delete", "pod", &pod, "--grace-period=0", "--force"]);
                    }
                    Kill::Process => {
                        let process = broker_process(&self.namespace.uid("pod", &pod));
                        kill_9(process.expect("the nodes are processes of this machine"));
                    }
                }
                // What the file asks for next must not be answered by a status that knows nothing of the kill.
                self.pass(NOTICED_IN, &|status| seen(status, *broker) != before);
            }
            Disturbance::Behave(broker, behaviour) => {
                let longer = Behaviour {
                    starts_in: behaviour.starts_in * LONGER,
                    recovers_for: behaviour.recovers_for * LONGER,
                    ends: behaviour.ends.clone(),
                };
                self.stage.parts().words.insert(question(self.cluster, *broker), longer.in_words());
            }
            Disturbance::RestartAgent => {
                let operator = "app.kubernetes.io/name=penstock-operator";
                kube.run(&["delete", "pod", "--selector", operator, "--namespace", SYSTEM]);
            }
            Disturbance::Installed(releases) => {
                let image =
                    |release: &str| RELEASES.iter().find(|(known, _)| *known == release).map(|(_, it)| *it);
                let stand_in = image("1").expect("the release of scenario files");
                let added = releases.iter().filter(|release| image(release).is_none());
                let added = added.map(|release| (release.as_str(), stand_in));
                kube.install_operator(&RELEASES.iter().copied().chain(added).collect::<Vec<_>>());
            }
            _ => return false,
        }
        true
    }

    fn pass(&mut self, span: Duration, until: &dyn Fn(&ClusterStatus) -> bool) -> bool {
        self.runtime.block_on(async {
            let mut statuses = Box::pin(self.dispatch.statuses());
            let waiting = async {
                while let Some(status) = statuses.next().await {
                    if until(&status) {
                        return;
                    }
                }
            };
            tokio::time::timeout(span, waiting).await.is_ok()
        })
    }

    fn status(&mut self) -> Option<ClusterStatus> {
        // The newest one comes at once, if there is any.
        const AT_ONCE: Duration = Duration::from_millis(100);
        self.runtime.block_on(async {
            let mut statuses = Box::pin(self.dispatch.statuses());
            tokio::time::timeout(AT_ONCE, statuses.next()).await.ok().flatten()
        })
    }

    /// A status comes a moment after what it tells of, and a broker that is started again and again is for a second
    /// one that starts.
    fn shows(&mut self, holds: &dyn Fn(&ClusterStatus) -> bool) -> bool {
        const A_MOMENT: Duration = Duration::from_secs(5);
        scenario::Stage::pass(self, A_MOMENT, holds)
    }

    fn starts(&mut self, broker: BrokerId) -> u32 {
        self.stage.parts().starts.get(&question(self.cluster, broker)).copied().unwrap_or_default()
    }

    fn announce(&mut self, text: &str) {
        self.watch.tell(&format!("{}: {text}", self.namespace.name));
    }
}

/// Tells stand-ins what to do, and counts them. There is one for all clusters, since all of their nodes look for it in
/// one place.
struct Stage(Mutex<Parts>);

/// By the question of a stand-in.
struct Parts {
    words: BTreeMap<String, String>,
    starts: BTreeMap<String, u32>,
}

static STAGE: Stage = Stage(Mutex::new(Parts { words: BTreeMap::new(), starts: BTreeMap::new() }));

impl Stage {
    /// None where the nodes are not this machine's.
    #[expect(clippy::print_stdout, reason = "what a test prints is its output")]
    fn get() -> Option<&'static Stage> {
        static OPEN: OnceLock<bool> = OnceLock::new();
        let open = OPEN.get_or_init(|| {
            match TcpListener::bind((integration::THIS_MACHINE, integration::STAGE_PORT)) {
                Ok(listener) => {
                    thread::spawn(move || {
                        for connection in listener.incoming() {
                            // A stand-in that went away while it asked asks again when it is started again.
                            let _ = connection.and_then(|connection| STAGE.answer(&connection));
                        }
                    });
                    true
                }
                Err(error) => {
                    println!("SKIPPED: no stage for scenarios: {error}");
                    false
                }
            }
        });
        open.then_some(&STAGE)
    }

    fn answer(&self, mut connection: &TcpStream) -> std::io::Result<()> {
        let mut question = String::new();
        BufReader::new(connection).read_line(&mut question)?;
        let question = question.trim();
        let mut parts = self.parts();
        *parts.starts.entry(question.to_owned()).or_default() += 1;
        let words = parts.words.get(question).cloned().unwrap_or_default();
        connection.write_all(words.as_bytes())
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a status says of a broker.
fn seen(status: &ClusterStatus, broker: BrokerId) -> Option<(Truth, Reason, u32)> {
    let found = status.brokers.iter().find(|seen| seen.id == broker);
    found.map(|seen| (seen.ready, seen.reason, seen.restarts))
}

/// What a stand-in asks.
fn question(cluster: ClusterId, broker: BrokerId) -> String {
    format!("{} {broker}", cluster.kafka_form())
}
