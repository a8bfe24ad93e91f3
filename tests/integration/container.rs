//! A server as a pod runs it: told everything by its environment, with keys and certificates that somebody else provides,
//! and the commands that a deployment uses. The Kubernetes that it cannot use is told in a sentence.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use testkit::Database;
use testkit::process::{World, binary};

use crate::platform::{Api, shown};

/// A directory with what a pod has mounted.
fn mounted(world: &World) {
    let tls = world.path().join("tls");
    std::fs::create_dir(&tls).expect("a directory");
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(tls.join("tls.crt"), own.cert.pem()).expect("write");
    std::fs::write(tls.join("tls.key"), own.signing_key.serialize_pem()).expect("write");
    let key = world.path().join("master.key");
    std::fs::write(&key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("write");
    std::fs::set_permissions(&key, Permissions::from_mode(0o440)).expect("permissions");
}

/// The program with the environment that the chart gives it, except for the substrate.
fn server(world: &World, database: &str) -> Command {
    let mut command = Command::new(binary("penstock-server"));
    command.env("PENSTOCK_DATABASE_URL", database);
    command.env("PENSTOCK_DIR", world.path().join("volume/server"));
    command.env("PENSTOCK_LISTEN", "127.0.0.1:0");
    command.env("PENSTOCK_MASTER_KEY", world.path().join("master.key"));
    command.env("PENSTOCK_TLS", world.path().join("tls"));
    command.env("PENSTOCK_REGION", "here");
    command.env("PENSTOCK_LOG_FORMAT", "json");
    command
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

#[test]
fn a_server_is_told_everything_by_its_environment() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let database = runtime.block_on(Database::create());
    let world = World::new();
    mounted(&world);

    // The job is told where the database is, and nothing else.
    let mut job = Command::new(binary("penstock-server"));
    let migrated = output(job.env("PENSTOCK_DATABASE_URL", database.url()).arg("migrate"));
    assert!(migrated.status.success(), "{}", shown(&migrated));
    let issued = output(server(&world, &database.url()).args(["issue-token", "--account", "acme"]));
    assert!(issued.status.success(), "{}", shown(&issued));
    let token = String::from_utf8(issued.stdout).expect("text");

    let mut process = world.start(&mut server(&world, &database.url()));
    let line = process.wait_for_line("ready ");
    let url = line.split_whitespace().find_map(|word| word.strip_prefix("url=")).expect("an address");
    let api = Api::new(url, &world.path().join("tls/tls.crt"), Some(token.trim()));
    assert_eq!(api.get("/v1/account").expect(200)["name"], "acme");
    assert_eq!(api.get("/livez").expect(200)["state"], "live");
    assert_eq!(api.get("/readyz").expect(200)["state"], "ready");
    let page = api.get("/metrics").expect(200);
    let page = page.as_str().expect("text");
    for metric in [
        "penstock_store_connections_max 16",
        "penstock_store_wait_seconds_count",
        "penstock_store_transactions_total{outcome=\"begun\"}",
        "penstock_reconciler_leading",
        "penstock_agent_clusters 0",
        "penstock_https_connections 1",
    ] {
        assert!(page.contains(metric), "no {metric} in\n{page}");
    }
    assert!(process.stop().success());
    // Nothing secret is left in the volume.
    let left = std::fs::read_dir(world.path().join("volume/server")).expect("the directory");
    let left: Vec<String> =
        left.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into()).collect();
    assert!(!left.iter().any(|name| name.ends_with(".key") || name == "ca"), "{left:?}");
    drop(world);
    runtime.block_on(async { drop(database) });
}

#[test]
fn a_kubernetes_that_is_of_no_use_is_told_in_a_sentence() {
    let world = World::new();
    mounted(&world);
    let kubeconfig = world.path().join("kubeconfig");
    let config = "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\"}}], users: [{name: u, user: {}}]}";
    std::fs::write(&kubeconfig, config).expect("write");
    let refusal = |kubeconfig: Option<&Path>| {
        let mut command = server(&world, "postgres://nobody@127.0.0.1:1/nothing");
        command.env("PENSTOCK_SUBSTRATE", "kubernetes");
        // No home, no pod: nothing else says where Kubernetes is.
        command.env("HOME", world.path()).env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST");
        if let Some(path) = kubeconfig {
            command.env("PENSTOCK_KUBECONFIG", path);
        }
        let output = output(&mut command);
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refusal(None);
    assert!(said.contains("error: nothing says where the Kubernetes API server is"), "{said}");
    let said = refusal(Some(&world.path().join("nothing")));
    assert!(said.contains("nothing cannot be used: "), "{said}");
    let said = refusal(Some(&kubeconfig));
    assert!(said.contains("the Kubernetes API server at https://127.0.0.1:1/ does not answer"), "{said}");
}
