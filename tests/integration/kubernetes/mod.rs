//! The product on a real Kubernetes: API server, kubelets, containers, the operator installed from its chart.
//!
//! One cluster serves all of these tests: `cargo xtask test` starts it before them and removes it afterwards, since
//! starting it costs as much as three tests, and no test can know that it is the last. Run by hand they take the one of
//! `cargo xtask kube up`, or any other whose kubeconfig `PENSTOCK_TEST_KUBECONFIG` names and which has the images
//! `penstock.local/*:dev`. Each test has a namespace of its own. Those of [`alone`] change what belongs to all, and so run
//! while no other does.
//!
//! Where there is no Kubernetes the tests say so and do nothing; `cargo xtask test` repeats it at its end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::process::{PATIENCE, World};

use crate::clients::Access;
use crate::platform::shown;

mod alone;
mod chart;
mod doubt;
mod figures;
mod heal;
mod platform;
mod refused;
mod scenarios;

/// Names the variable with the kubeconfig of the cluster to use.
const KUBECONFIG_VARIABLE: &str = "PENSTOCK_TEST_KUBECONFIG";

/// Where `cargo xtask kube up` puts things (see `crates/xtask/src/kube/place.rs`).
const OWN: &str = "/var/lib/penstock-kube";

/// The namespace of the operator.
const SYSTEM: &str = "penstock-system";

/// A look starts kubectl, so they are rarer than elsewhere.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What the tests apply: the example that the documentation shows.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/cluster.yaml");

/// A release that the operator knows, with an image that no node has.
const RELEASE_WITHOUT_IMAGE: &str = "9.9.9";

/// What the operator knows besides, in all tests but one. `1` is that of scenario files.
const RELEASES: &[(&str, &str)] = &[
    ("0.0.0", "penstock.local/broker:dev"),
    ("1", "penstock.local/stand-in:dev"),
    (RELEASE_WITHOUT_IMAGE, "penstock.local/none:dev"),
];

/// A Kubernetes with the operator in it.
#[derive(Debug)]
pub(crate) struct Kube {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    helm: PathBuf,
}

/// Held by tests while they run: for reading by those that live beside others.
static QUIET: RwLock<()> = RwLock::new(());

impl Kube {
    /// For a test that lives beside others; without a Kubernetes it says so, and there is nothing to test.
    fn beside_others() -> Option<(&'static Kube, RwLockReadGuard<'static, ()>)> {
        let guard = QUIET.read().unwrap_or_else(PoisonError::into_inner);
        Some((Kube::get()?, guard))
    }

    /// For a test that changes what belongs to all.
    fn alone() -> Option<(&'static Kube, RwLockWriteGuard<'static, ()>)> {
        let guard = QUIET.write().unwrap_or_else(PoisonError::into_inner);
        Some((Kube::get()?, guard))
    }

    fn get() -> Option<&'static Kube> {
        static KUBE: OnceLock<Option<Kube>> = OnceLock::new();
        KUBE.get_or_init(|| {
            let kube = Kube::find()?;
            kube.install_operator(RELEASES);
            Some(kube)
        })
        .as_ref()
    }

    #[expect(clippy::print_stdout, reason = "what a test prints is its output")]
    fn find() -> Option<Kube> {
        let own = Path::new(OWN).join("pki/admin.kubeconfig");
        let kubeconfig = match std::env::var_os(KUBECONFIG_VARIABLE) {
            Some(named) => PathBuf::from(named),
            None if own.is_file() => own,
            None => {
                println!(
                    "SKIPPED: no Kubernetes; `cargo xtask kube up` starts one, {KUBECONFIG_VARIABLE} names another"
                );
                return None;
            }
        };
        let tool =
            |variable, name: &str| std::env::var_os(variable).map_or_else(|| name.into(), PathBuf::from);
        let kubectl = tool("PENSTOCK_TEST_KUBECTL", "kubectl");
        Some(Kube { kubeconfig, kubectl, helm: tool("PENSTOCK_TEST_HELM", "helm") })
    }

    /// From its chart, with its rights as the chart gives them. Again over what is there: the newest wins.
    fn install_operator(&self, releases: &[(&str, &str)]) {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/penstock-operator");
        let mut helm = self.helm(&["upgrade", "--install", "penstock-operator"]);
        helm.arg(chart).args([
            "--namespace",
            SYSTEM,
            "--create-namespace",
            "--take-ownership",
            "--wait",
            "--timeout=60s",
        ]);
        helm.args(["--set", "image.repository=penstock.local/operator,image.tag=dev"]);
        for (release, image) in releases {
            helm.args(["--set-string", &format!("releases.{}={image}", release.replace('.', r"\."))]);
        }
        let output = helm.output().expect("helm starts");
        if !output.status.success() {
            let pods = self.kubectl(&["get", "pods", "--namespace", SYSTEM, "--output", "yaml"]);
            let log =
                self.kubectl(&["logs", "--namespace", SYSTEM, "deployment/penstock-operator", "--tail=50"]);
            panic!("install the operator: {}\n{}\n{}", shown(&output), shown(&pods), shown(&log));
        }
    }

    fn helm(&self, words: &[&str]) -> Command {
        let mut helm = Command::new(&self.helm);
        helm.args(words).arg("--kubeconfig").arg(&self.kubeconfig);
        helm
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut kubectl = Command::new(&self.kubectl);
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(words);
        kubectl
    }

    /// Runs kubectl.
    fn kubectl(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("kubectl starts")
    }

    /// Runs kubectl, which must succeed.
    fn run(&self, words: &[&str]) -> String {
        let output = self.kubectl(words);
        assert!(output.status.success(), "kubectl {words:?}: {}", shown(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Applies an object given as text, in this namespace or, if empty, in none.
    fn apply(&self, namespace: &str, object: &str) -> Output {
        let mut apply = self.command(&["apply", "--filename", "-"]);
        if !namespace.is_empty() {
            apply.args(["--namespace", namespace]);
        }
        let mut child = apply
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        child.stdin.take().expect("piped").write_all(object.as_bytes()).expect("kubectl reads");
        child.wait_with_output().expect("kubectl ends")
    }

    /// The operator's log so far.
    fn operator_log(&self) -> String {
        self.run(&["logs", "--namespace", SYSTEM, "deployment/penstock-operator", "--tail=-1"])
    }

    /// A namespace for one test.
    fn namespace(&'static self) -> Namespace {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        self.run(&["create", "namespace", &name]);
        Namespace { kube: self, name, files: World::new() }
    }
}

/// A namespace, deleted with all that is in it when it is dropped.
#[derive(Debug)]
struct Namespace {
    kube: &'static Kube,
    name: String,
    files: World,
}

impl Namespace {
    /// Runs kubectl in this namespace, which must succeed.
    fn run(&self, words: &[&str]) -> String {
        self.kube.run(&[words, &["--namespace", &self.name]].concat())
    }

    /// An object, if it is there.
    fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let words = ["get", kind, name, "--ignore-not-found", "--output", "json", "--namespace", &self.name];
        let text = self.kube.run(&words);
        (!text.trim().is_empty()).then(|| serde_json::from_str(&text).expect("JSON"))
    }

    /// An object that must be there.
    fn get(&self, kind: &str, name: &str) -> Value {
        self.find(kind, name).unwrap_or_else(|| panic!("there is no {kind} {name} in {}", self.name))
    }

    fn uid(&self, kind: &str, name: &str) -> String {
        text(&self.get(kind, name), "/metadata/uid").to_owned()
    }

    /// All that may tell why a test failed here.
    fn shown(&self) -> String {
        let mut text = String::new();
        for what in ["kafkaclusters", "pods,persistentvolumeclaims", "events"] {
            let output = self.kube.kubectl(&["get", what, "--output", "yaml", "--namespace", &self.name]);
            text.push_str(&format!("--- {what}\n{}", shown(&output)));
        }
        text + "--- the operator\n" + &self.kube.operator_log()
    }

    /// Applies the example of the documentation.
    fn apply_example(&self) -> Cluster<'_> {
        self.run(&["apply", "--filename", EXAMPLE]);
        Cluster { namespace: self, name: "orders".to_owned() }
    }

    /// Applies a cluster with this spec, as YAML in one line.
    fn apply_cluster(&self, name: &str, spec: &str) -> Cluster<'_> {
        let output = self.kube.apply(&self.name, &cluster_object(name, spec));
        assert!(output.status.success(), "apply {name}: {}", shown(&output));
        Cluster { namespace: self, name: name.to_owned() }
    }
}

impl Drop for Namespace {
    #[expect(clippy::print_stdout, reason = "what a test prints is its output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.shown());
        }
        // Deleting takes some ten seconds, and nobody needs to wait for it.
        self.kube.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}

fn cluster_object(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: penstock.dev/v1alpha1, kind: KafkaCluster, metadata: {{name: {name}}}, spec: {spec}}}"
    )
}

/// A `KafkaCluster` and what it stands for.
struct Cluster<'a> {
    namespace: &'a Namespace,
    name: String,
}

/// A condition of its status.
#[derive(Debug, Default)]
struct Condition {
    status: String,
    reason: String,
    message: String,
}

impl Cluster<'_> {
    fn object(&self) -> Value {
        self.namespace.get("kafkacluster", &self.name)
    }

    /// The pod (and service, secret, config map) of the first broker.
    fn broker(&self) -> String {
        format!("{}-broker-0", self.name)
    }

    fn condition(&self, kind: &str) -> Condition {
        let object = self.object();
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let Some(found) = conditions.iter().find(|condition| condition["type"] == kind) else {
            return Condition::default();
        };
        let field = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        Condition { status: field("status"), reason: field("reason"), message: field("message") }
    }

    /// Watches for a while that nothing is tried in a hot loop: each try would write the status, or at least its time.
    #[expect(clippy::disallowed_methods, reason = "a test's own thread, with no runtime to block")]
    fn is_left_in_peace(&self) {
        const WATCHED: Duration = Duration::from_secs(4);
        let version = || text(&self.object(), "/metadata/resourceVersion").to_owned();
        let (begun, mut last, mut writes) = (Instant::now(), version(), 0);
        while begun.elapsed() < WATCHED {
            std::thread::sleep(LOOK_EVERY);
            let now = version();
            writes += usize::from(now != last);
            last = now;
        }
        // The kubelet's own next try may be worth a word.
        assert!(writes <= 2, "the status of {} was written {writes} times in {WATCHED:?}", self.name);
    }

    /// Waits as a person would.
    fn wait_until_ready(&self) {
        let object = format!("kafkacluster/{}", self.name);
        self.namespace.run(&["wait", "--for=condition=Ready", &object, "--timeout=60s"]);
    }

    /// Waits until it is ready with another pod than this one.
    fn wait_for_another_pod_than(&self, uid: &str) {
        wait_until("there is another pod", || {
            let pod = self.namespace.find("pod", &self.broker());
            pod.is_some_and(|pod| text(&pod, "/metadata/uid") != uid && is_true(&pod, "Ready"))
        });
        self.wait_until_ready();
    }

    /// A client's way in: what the operator put into the secret for clients.
    fn access(&self) -> Access {
        let secret = text(&self.object(), "/status/clientSecret").to_owned();
        let read = |key: &str| {
            let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
            self.namespace.run(&["get", "secret", &secret, "--output", &template])
        };
        let file = |key: &str| {
            let path = self.namespace.files.path().join(format!("{}-{key}", self.name));
            std::fs::write(&path, read(key)).expect("write");
            path
        };
        Access::mutual_tls(
            &read("KAFKA_URL"),
            &file("KAFKA_TRUSTED_CERT"),
            &file("KAFKA_CLIENT_CERT"),
            &file("KAFKA_CLIENT_CERT_KEY"),
        )
    }
}

/// A text in an object that must be there.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {object}"))
}

/// Whether a condition of an object is true.
fn is_true(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// Waits until something holds. The time that looks take counts.
#[expect(clippy::disallowed_methods, reason = "a test's own thread, with no runtime to block")]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until a client gets through to a cluster. The address of a pod that is ready works once each node's network
/// knows the pod, a moment later; applications try again, and kcat gives up.
fn wait_until_reached(access: &Access) {
    wait_until("a client gets through", || {
        let mut list = access.kcat();
        list.args(["-L", "-m", "3"]).output().expect("kcat starts").status.success()
    });
}

/// How long something takes, for a person.
struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "tells a person how long a step took")]
    fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    #[expect(clippy::print_stdout, reason = "what a test prints is its output")]
    fn tell(&self, what: &str) {
        println!("{:.1} s: {what}", self.0.elapsed().as_secs_f32());
    }
}
