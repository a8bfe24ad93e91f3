//! What concerns a whole Kubernetes: a machine lost, a right taken away, an object that nobody understands. While these
//! run, no other test does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::process::kill_9;

use super::heal::claims;
use super::{Kube, OWN, SYSTEM, Stopwatch, text, wait_until, wait_until_reached};
use crate::clients::{consume, produce};

/// A node of this machine's own cluster, as `crates/xtask/src/kube/node.rs` keeps it.
struct Machine(PathBuf);

impl Machine {
    /// None in somebody else's Kubernetes, whose machines are not ours to switch off.
    #[expect(clippy::print_stdout, reason = "what a test prints is its output")]
    fn named(name: &str) -> Option<Machine> {
        let dir = Path::new(OWN).join(name);
        if !dir.join("node.start").is_file() {
            println!("SKIPPED: the nodes are not processes of this machine");
            return None;
        }
        Some(Machine(dir))
    }

    fn pull_the_plug(&self) {
        let pid = std::fs::read_to_string(self.0.join("node.pid")).expect("the id of its first process");
        kill_9(pid.trim().parse().expect("a number"));
    }

    #[expect(clippy::zombie_processes, reason = "the machine runs on when the test has ended")]
    fn boot(&self) {
        let start = std::fs::read_to_string(self.0.join("node.start")).expect("how it is started");
        let log = std::fs::OpenOptions::new().append(true).open(self.0.join("node.log")).expect("its log");
        let mut command = Command::new("setsid");
        command.args(start.lines()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a handle")).stderr(log);
        let child = command.spawn().expect("setsid starts");
        std::fs::write(self.0.join("node.pid"), child.id().to_string()).expect("write");
    }
}

/// Boots a machine again, also when the test fails.
struct Off<'a>(&'a Machine);

impl Drop for Off<'_> {
    fn drop(&mut self) {
        self.0.boot();
    }
}

#[test]
fn a_lost_node_costs_nothing_but_the_time_until_it_returns() {
    let Some((kube, _guard)) = Kube::alone() else { return };
    let namespace = kube.namespace();
    // The broker goes where the operator is not: this is about a lost broker.
    let operators = "jsonpath={.items[*].spec.nodeName}";
    let operators = kube.run(&["get", "pods", "--namespace", SYSTEM, "--output", operators]);
    for node in operators.split_whitespace() {
        kube.run(&["cordon", node]);
    }
    let cluster = namespace.apply_example();
    cluster.wait_until_ready();
    for node in operators.split_whitespace() {
        kube.run(&["uncordon", node]);
    }
    let node = text(&namespace.get("pod", &cluster.broker()), "/spec/nodeName").to_owned();
    let Some(machine) = Machine::named(&node) else { return };
    wait_until_reached(&cluster.access());
    produce(&cluster.access(), "payments", &["kept"]);
    let claim = claims(&namespace);

    let watch = Stopwatch::start();
    machine.pull_the_plug();
    let off = Off(&machine);
    wait_until("it is said that the node is lost", || {
        let ready = cluster.condition("Ready");
        ready.status != "True"
            && (ready.message.contains(&node) || cluster.condition("Progressing").message.contains(&node))
    });
    watch.tell("lost node to a status that names it");
    assert_eq!(claims(&namespace), claim, "nothing is deleted on doubt");
    let pod = namespace
        .find("pod", &cluster.broker())
        .expect("its pod is still there: nobody knows that it is dead");
    assert_eq!(text(&pod, "/spec/nodeName"), node);

    let watch = Stopwatch::start();
    drop(off);
    cluster.wait_until_ready();
    watch.tell("node booted again to Ready");
    assert_eq!(claims(&namespace), claim);
    wait_until_reached(&cluster.access());
    assert_eq!(consume(&cluster.access(), "payments"), ["kept"]);
}

#[test]
fn a_right_that_is_missing_is_named_and_used_once_it_is_there() {
    let Some((kube, _guard)) = Kube::alone() else { return };
    let namespace = kube.namespace();
    let read = |name: &str| kube.run(&["get", "clusterrole", name, "--output", "json"]);
    let role = read("penstock-operator");
    let without = role.replacen("\"pods\"", "\"podtemplates\"", 1);
    assert_ne!(role, without);
    let put = |role: &str| {
        let output = kube.apply("", role);
        assert!(output.status.success(), "{}", crate::platform::shown(&output));
    };
    // Server-side state as it was, whatever happens.
    struct Restore<F: Fn()>(F);
    impl<F: Fn()> Drop for Restore<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let stripped = |text: &str| {
        let mut role: serde_json::Value = serde_json::from_str(text).expect("JSON");
        if let Some(metadata) = role["metadata"].as_object_mut() {
            metadata.retain(|key, _| ["name", "labels", "annotations"].contains(&key.as_str()));
        }
        role.to_string()
    };
    let (role, without) = (stripped(&role), stripped(&without));
    let restore = Restore(|| put(&role));
    put(&without);
    let cluster = namespace.apply_example();
    wait_until("the missing right is named", || {
        let said = [cluster.condition("Progressing").message, cluster.condition("Ready").message].concat();
        said.contains("pods") && (said.contains("cannot create") || said.contains("forbidden"))
    });
    cluster.is_left_in_peace();
    drop(restore);
    // A change of rights wakes nobody; a person who gives them touches the object, or waits a minute.
    namespace.run(&["annotate", "kafkacluster", &cluster.name, "example.com/rights=given"]);
    cluster.wait_until_ready();
}

#[test]
fn an_object_that_nobody_understands_is_named_and_holds_up_no_other() {
    let Some((kube, _guard)) = Kube::alone() else { return };
    let namespace = kube.namespace();
    let definition =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/penstock-operator/files/crds.yaml");
    let definition = definition.display().to_string();
    // As it may be left by a version of the definition that knew other fields.
    let anything = r#"[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema","value":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}]"#;
    kube.run(&[
        "patch",
        "customresourcedefinition",
        "kafkaclusters.penstock.dev",
        "--type=json",
        "-p",
        anything,
    ]);
    wait_until("the old object is accepted", || {
        let object = super::cluster_object("strange", "{release: [1, 2], pools: none}");
        kube.apply(&namespace.name, &object).status.success()
    });
    kube.run(&["replace", "--filename", &definition]);

    let cluster = namespace.apply_example();
    cluster.wait_until_ready();
    let lines = || kube.operator_log().lines().filter(|line| line.contains("strange")).count();
    wait_until("the strange object is named", || lines() > 0);
    let before = lines();
    cluster.is_left_in_peace();
    assert!(lines() - before <= 2, "the strange object is named again and again");
    namespace.run(&["delete", "kafkacluster", "strange"]);
}
