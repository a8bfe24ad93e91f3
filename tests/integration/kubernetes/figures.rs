//! What the operator costs when nothing happens. Measured by hand, since a figure is no promise:
//!
//! `cargo xtask kube up`, then `PENSTOCK_FIGURES_CLUSTERS=100 cargo test -p integration --test integration -- --ignored
//! --nocapture what_the_operator_costs`.

use std::time::Duration;

use testkit::process::processes_that_name;

use super::{Kube, wait_until};

/// What settles after the last change (statuses, endpoints, the operator's second look) is not idle.
const SETTLE: Duration = Duration::from_secs(30);

const MEASURED: Duration = Duration::from_secs(120);

#[test]
#[ignore = "a measurement of some minutes, to be read by a person"]
fn what_the_operator_costs_when_nothing_happens() {
    let count: usize =
        std::env::var("PENSTOCK_FIGURES_CLUSTERS").map_or(1, |count| count.parse().expect("a number"));
    let (kube, _guard) = Kube::alone().expect("a Kubernetes");
    let namespace = kube.namespace();
    let clusters: Vec<String> = (0..count)
        .map(|number| super::cluster_object(&format!("idle-{number}"), "{release: '0.0.0'}"))
        .collect();
    assert!(kube.apply(&namespace.name, &clusters.join("\n---\n")).status.success());
    let ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}";
    let mut seen = 0;
    // A node takes 110 pods; with a hundred clusters the kubelets need minutes to start them.
    for _ in 0..10 {
        wait_or_go_on(|| {
            let statuses = namespace.run(&["get", "kafkaclusters", "--output", ready]);
            seen = statuses.split_whitespace().filter(|status| *status == "True").count();
            seen == count
        });
    }
    pause(SETTLE);
    let before = requests(kube);
    pause(MEASURED);
    let minutes = MEASURED.as_secs_f64() / 60.0;
    println!("{seen} of {count} clusters ready");
    println!("requests a minute: {:.1}", (requests(kube) - before) / minutes);
    println!("resident: {} KiB", resident());
}

fn wait_or_go_on(holds: impl FnMut() -> bool) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_until("all are ready", holds)));
}

/// Requests of service accounts outside of Kubernetes' own namespaces: the operator is the only one.
fn requests(kube: &Kube) -> f64 {
    let page = kube.run(&["get", "--raw", "/metrics"]);
    let lines = page.lines().filter(|line| {
        line.starts_with("apiserver_flowcontrol_dispatched_requests_total{")
            && line.contains("flow_schema=\"service-accounts\"")
    });
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn resident() -> String {
    let pids = processes_that_name("/penstock-operator");
    let status = pids.iter().find_map(|pid| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        comm.starts_with("penstock-operat")
            .then(|| std::fs::read_to_string(format!("/proc/{pid}/status")).ok())?
    });
    let status = status.expect("the operator is a process of this machine");
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("its memory")
        .replace("kB", "")
        .trim()
        .to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a measurement takes its time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
