//! The REST interface on Kubernetes: the walk of the local substrate, with pods instead of processes.

use std::path::Path;
use std::process::Command;

use testkit::Database;
use testkit::process::{Process, World, binary};

use super::{Kube, Namespace, Stopwatch, is_true, text, wait_until, wait_until_reached};
use crate::platform::Api;
use crate::thin_path;

/// A server that publishes into a namespace.
struct Server {
    process: Process,
    api: Api,
}

impl Server {
    fn start(world: &World, namespace: &Namespace, database: &str) -> Server {
        let dir = world.path().join("server");
        let mut command = Command::new(binary("penstock-server"));
        command.args(["--listen", "127.0.0.1:0", "--owner", "tests", "--substrate", "kubernetes"]);
        command.arg("--dir").arg(&dir).arg("--kubeconfig").arg(&namespace.kube.kubeconfig);
        command.args(["--kube-namespace", &namespace.name]).env("PENSTOCK_DATABASE_URL", database);
        let mut process = world.start(&mut command);
        let ready = process.wait_for_line("ready ");
        let field = |name: &str| {
            let mut fields = ready.split_whitespace();
            fields
                .find_map(|field| field.strip_prefix(name))
                .unwrap_or_else(|| panic!("no {name} in {ready}"))
                .to_owned()
        };
        let token = std::fs::read_to_string(dir.join("owner.token")).expect("the owner's token");
        let api = Api::new(&field("url="), Path::new(&field("ca=")), Some(token.trim()));
        Server { process, api }
    }
}

/// A pod of the namespace that is ready, by name and uid.
fn ready_pods(namespace: &Namespace) -> Vec<(String, String)> {
    let list = namespace.run(&["get", "pods", "--output", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let pods = list["items"].as_array().expect("a list").iter();
    let named = |pod: &serde_json::Value| {
        (text(pod, "/metadata/name").to_owned(), text(pod, "/metadata/uid").to_owned())
    };
    pods.filter(|pod| is_true(pod, "Ready")).map(named).collect()
}

#[test]
fn a_rest_call_makes_a_cluster_that_heals_without_the_platform() {
    let Some((kube, _guard)) = Kube::beside_others() else { return };
    let (world, namespace) = (World::new(), kube.namespace());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(Database::create());
    let server = Server::start(&world, &namespace, &database.url());

    let watch = Stopwatch::start();
    thin_path::provision(&world, &server.api, "second");
    watch.tell("POST /v1/resources to a record");
    let third = thin_path::provision(&world, &server.api, "third");
    // The kubelet looks less often than the operator.
    wait_until("both pods are ready", || ready_pods(&namespace).len() == 2);
    thin_path::remove(&server.api, "second");
    assert_eq!(ready_pods(&namespace).len(), 1, "one cluster goes, the other stays");
    assert_eq!(super::heal::claims(&namespace).len(), 1, "the data goes with the add-on");

    // No server, no database: the cluster goes on, and is made whole again.
    drop(server.process);
    drop(database);
    let before = ready_pods(&namespace);
    let watch = Stopwatch::start();
    namespace.run(&["delete", "pod", &before[0].0, "--grace-period=0", "--force"]);
    wait_until("there is another pod", || {
        let now = ready_pods(&namespace);
        now.len() == 1 && now[0].1 != before[0].1
    });
    watch.tell("a killed pod to another one, without the platform");
    wait_until_reached(&third);
    thin_path::holds(&third);
}
