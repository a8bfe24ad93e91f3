//! The platform as its chart installs it: servers in pods, Postgres elsewhere, and everything through the network.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use testkit::Database;
use testkit::process::Process;

use super::{Kube, Namespace, Stopwatch};
use crate::console::Console;
use crate::platform::{Api, shown};
use crate::{rest, thin_path};

/// A release of `charts/penstock`, in a namespace of its own.
struct Platform<'a> {
    namespace: &'a Namespace,
    ca: PathBuf,
}

impl Platform<'_> {
    /// Installs it as its notes say. The database's URL is a secret that somebody else made, so a job migrates first.
    fn install<'a>(namespace: &'a Namespace, database: &str) -> Platform<'a> {
        namespace.run(&[
            "create",
            "secret",
            "generic",
            "database",
            &format!("--from-literal=url={database}"),
        ]);
        Platform::helm(namespace, "install", &[]);
        let read = "go-template={{index .data \"ca.crt\" | base64decode}}";
        let ca = namespace.files.path().join("penstock-ca.pem");
        std::fs::write(&ca, namespace.run(&["get", "secret", "penstock-tls", "--output", read]))
            .expect("write");
        Platform { namespace, ca }
    }

    /// Upgrades it, which replaces its pods.
    fn upgrade(&self, settings: &[&str]) {
        Platform::helm(self.namespace, "upgrade", settings);
    }

    fn helm(namespace: &Namespace, verb: &str, settings: &[&str]) {
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/penstock");
        let mut helm = namespace.kube.helm(&[verb, "penstock", chart, "--wait", "--timeout=90s"]);
        helm.args(["--namespace", &namespace.name]);
        helm.args(["--set", "image.repository=penstock.local/server,image.tag=dev"]);
        helm.args(["--set", "database.existingSecret=database"]);
        for setting in settings {
            helm.args(["--set", setting]);
        }
        let output = helm.output().expect("helm starts");
        assert!(output.status.success(), "{verb}: {}\n{}", shown(&output), namespace.shown());
    }

    /// A new token of an account.
    fn token(&self, account: &str) -> String {
        let server = "deployment/penstock";
        let issue = ["exec", server, "--", "/penstock-server", "issue-token", "--account", account];
        // Words after `--` are the program's.
        let words = [&["--namespace", &self.namespace.name], issue.as_slice()].concat();
        self.namespace.kube.run(&words).trim().to_owned()
    }

    /// A way to one of its pods, for as long as that lives.
    fn forward(&self) -> Forward {
        let words = ["port-forward", "service/penstock", ":443", "--namespace", &self.namespace.name];
        let mut process = self.namespace.files.start(&mut self.namespace.kube.command(&words));
        let line = process.wait_for_line("Forwarding from 127.0.0.1:");
        let port = line.split([':', ' ']).find_map(|word| word.parse::<u16>().ok()).expect("a port");
        Forward { url: format!("https://localhost:{port}"), _process: process }
    }

    fn api(&self, forward: &Forward, token: &str) -> Api {
        Api::new(&forward.url, &self.ca, Some(token))
    }
}

/// A port of this machine that leads to a pod.
struct Forward {
    url: String,
    _process: Process,
}

#[test]
fn the_chart_installs_the_platform_and_the_console_shows_what_it_does() {
    let Some((kube, _guard)) = Kube::beside_others() else { return };
    let namespace = kube.namespace();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(Database::create());
    let Some(reachable) = reachable_from_pods(&database.url()) else { return };

    let watch = Stopwatch::start();
    let platform = Platform::install(&namespace, &reachable);
    watch.tell("helm install to a platform that is ready");
    let (forward, token) = (platform.forward(), platform.token("me"));
    let api = platform.api(&forward, &token);
    let watch = Stopwatch::start();
    let kept = thin_path::provision(&namespace.files, &api, "kept");
    watch.tell("POST /v1/resources to a record");
    rest::refuses_what_makes_no_sense(&api, "kept");
    let watch = Stopwatch::start();
    rest::does_what_its_document_says(
        &namespace.files,
        &api,
        &api.with_token(Some(&platform.token("somebody-else"))),
    );
    watch.tell("a walk through all operations");
    let watch = Stopwatch::start();
    let console = Console::sign_in(&namespace.files, &forward.url, &token);
    console.follows(&namespace.files, &api, "clicks");
    console.sign_out();
    watch.tell("the console from sign-in to sign-out");

    // Other servers, two of them, and the same platform: keys, accounts and clusters stay.
    let brokers =
        ["get", "pods", "--selector=penstock.dev/cluster", "--output=jsonpath={.items[*].metadata.uid}"];
    let (before, url) = (namespace.run(&brokers), thin_path::config_var(&api, "kept", "_URL"));
    let watch = Stopwatch::start();
    platform.upgrade(&["replicas=2", "podAnnotations.upgraded=yes"]);
    watch.tell("helm upgrade to two other servers");
    drop(forward);
    let forward = platform.forward();
    let api = platform.api(&forward, &token);
    assert_eq!(api.get("/v1/resources/kept").expect(200)["state"], "ready");
    assert_eq!(thin_path::config_var(&api, "kept", "_URL"), url);
    assert_eq!(namespace.run(&brokers), before, "brokers do not notice");
    thin_path::holds(&kept);

    // Clusters do not need the platform.
    drop(forward);
    let mut uninstall = kube.helm(&["uninstall", "penstock", "--wait", "--namespace", &namespace.name]);
    let uninstalled = uninstall.output().expect("helm starts");
    assert!(uninstalled.status.success(), "{}", shown(&uninstalled));
    assert_eq!(namespace.run(&brokers), before, "clusters outlive the platform");
    thin_path::holds(&kept);
}

/// The database of a test, which listens on 127.0.0.1 only, as pods reach it: through a relay at this machine's end of
/// the nodes' network. None where the nodes are not this machine's.
#[expect(clippy::print_stdout, reason = "what a test prints is its output")]
fn reachable_from_pods(url: &str) -> Option<String> {
    let (before, rest) = url.split_once('@').expect("a URL with a password");
    let (address, name) = rest.split_once('/').expect("a URL with a database");
    let relay = match TcpListener::bind((integration::THIS_MACHINE, 0)) {
        Ok(relay) => relay,
        Err(error) => {
            println!("SKIPPED: pods cannot reach a database here: {error}");
            return None;
        }
    };
    let port = relay.local_addr().expect("an address").port();
    let database = address.to_owned();
    // It ends with this program.
    thread::spawn(move || {
        for client in relay.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&database) else { continue };
            for (mut from, mut to) in [(clone(&client), clone(&server)), (server, client)] {
                thread::spawn(move || {
                    // However it ends, the other side learns of it.
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    Some(format!("{before}@{}:{port}/{name}", integration::THIS_MACHINE))
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("another handle")
}
