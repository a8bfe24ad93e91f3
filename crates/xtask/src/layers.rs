//! Who may use whom: the layer table, and the check that the manifests keep to it.
//!
//! The table is data below and says three things: the layer of each crate, what a layer may use, and the few
//! arrows within a layer that are wanted. Whatever the table lacks is an error, a new crate included, so that
//! every arrow was somebody's decision. It also says who may use the third-party crates that stand for a
//! kind of knowledge (SQL, HTTP, Kubernetes, sockets).
//!
//! Development dependencies are not checked: a test may hold both ends of anything.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::run;

/// What a crate is, from the bottom up. See the code map in README.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// No clock, socket, file, database.
    Pure,
    /// Mechanism on injected traits.
    Mechanism,
    /// Shapes that others outside rely on.
    Contract,
    /// One thing of the outside world each.
    Adapter,
    /// What the product does.
    Service,
    /// Wiring only.
    Binary,
    /// Development: not part of the product.
    Development,
}

use Layer::{Adapter, Binary, Contract, Development, Mechanism, Pure, Service};

/// Every crate of the workspace. Within `Pure` a crate may use those above it in this list.
const CRATES: &[(&str, Layer)] = &[
    ("model", Pure),
    ("protocol", Pure),
    ("quorum", Pure),
    ("planner", Pure),
    ("checker", Pure),
    ("log", Mechanism),
    ("agent", Mechanism),
    ("api-types", Contract),
    ("crd", Contract),
    ("store", Adapter),
    ("keyring", Adapter),
    ("telemetry", Adapter),
    ("client", Adapter),
    ("kafka-client", Adapter),
    ("dispatch-kube", Adapter),
    ("postgres", Adapter),
    ("broker", Service),
    ("control", Service),
    ("api", Service),
    ("console", Service),
    ("reconciler", Service),
    ("operator", Service),
    ("local", Service),
    ("sim", Service),
    ("rehearse", Service),
    ("connect", Service),
    ("server", Binary),
    ("cli", Binary),
    ("testkit", Development),
    ("integration", Development),
    ("bench", Development),
    ("xtask", Development),
];

/// Wanted arrows within a layer, each with its reason.
const SIDEWAYS: &[(&str, &str, &str)] = &[
    ("api", "control", "routes call use cases"),
    ("console", "control", "pages call use cases"),
    ("agent", "telemetry", "what is counted is registered in one way"),
    ("store", "telemetry", "what is counted is registered in one way"),
    ("dispatch-kube", "telemetry", "what is counted is registered in one way"),
    ("reconciler", "control", "an operation's steps and a resource's words are defined once"),
];

/// Arrows that the layers would allow and that are unwanted.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("api", "store", "routes go through control, so that each use case is one transaction in one place"),
    ("console", "store", "pages go through control"),
    ("operator", "store", "the operator runs with Postgres unreachable"),
    ("broker", "store", "a broker knows no control plane"),
    ("broker", "planner", "a broker does not decide about clusters"),
    ("broker", "agent", "a broker is acted upon"),
    ("local", "store", "clusters heal while Postgres is down"),
    ("cli", "broker", "the broker is a program of its own"),
    ("server", "broker", "the broker is a program of its own: it outlives the server"),
];

/// Third-party crates that stand for a kind of knowledge, and who may have it.
const KNOWLEDGE: &[(&str, &[&str], &str)] = &[
    ("sqlx", &["store", "testkit"], "only store contains SQL"),
    ("kube", &["crd", "dispatch-kube", "operator"], "only these name Kubernetes"),
    ("k8s-openapi", &["crd", "dispatch-kube", "operator"], "only these name Kubernetes"),
    ("reqwest", &["client", "cli"], "other crates call use cases, not URLs"),
    ("kafka-protocol", &[], "aborts on a hostile length: a test oracle, never a parser of network input"),
];

/// What pure crates must not use, whoever else may: clocks, tasks, sockets, files.
const IMPURE: &[&str] = &["tokio", "axum", "hyper", "rustls", "rustix", "tempfile"];

/// What `log` may not use either. Files it does touch, in the one implementation of its `Io` trait for disks.
const ASYNC: &[&str] = &["tokio", "axum", "hyper", "rustls"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or absent for a normal one.
    kind: Option<String>,
}

/// Fails with every arrow that the table lacks.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let mut cargo = run::cargo(root);
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: Metadata =
        serde_json::from_str(&run::output(&mut cargo)?).context("read the output of cargo metadata")?;
    let wrong = wrong_arrows(&metadata.packages);
    if !wrong.is_empty() {
        bail!(
            "arrows that the layer table (crates/xtask/src/layers.rs) does not have:\n  {}",
            wrong.join("\n  ")
        );
    }
    Ok(())
}

fn wrong_arrows(packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in packages {
        let Some((rank, layer)) = place(&package.name) else {
            wrong.push(format!("{}: a crate without a layer", package.name));
            continue;
        };
        let normal =
            package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"));
        for to in normal.map(|dependency| dependency.name.as_str()) {
            let refused = if ours.contains(to) {
                refused_between_ours(&package.name, (rank, layer), to)
            } else {
                refused_outside(&package.name, layer, to)
            };
            if let Some(why) = refused {
                wrong.push(format!("{} -> {to}: {why}", package.name));
            }
        }
    }
    wrong
}

/// Why one crate of the workspace may not use another, if so.
fn refused_between_ours(from: &str, (rank, layer): (usize, Layer), to: &str) -> Option<String> {
    if let Some((_, _, why)) = FORBIDDEN.iter().find(|(a, b, _)| (*a, *b) == (from, to)) {
        return Some((*why).to_owned());
    }
    if SIDEWAYS.iter().any(|(a, b, _)| (*a, *b) == (from, to)) || layer == Development {
        return None;
    }
    let Some((to_rank, to_layer)) = place(to) else { return Some("a crate without a layer".to_owned()) };
    let allowed = match layer {
        Pure => to_layer == Pure && to_rank < rank,
        Mechanism => to_layer == Pure,
        Contract => to == "model",
        Adapter | Service | Binary => to_layer < layer,
        Development => true,
    };
    (!allowed).then(|| format!("{layer:?} may not use {to_layer:?} here"))
}

/// Why a crate of the workspace may not use a third-party crate, if so.
fn refused_outside(from: &str, layer: Layer, to: &str) -> Option<String> {
    if layer == Pure && IMPURE.contains(&to) {
        return Some("pure crates reach the outside through traits only".to_owned());
    }
    if from == "log" && ASYNC.contains(&to) {
        return Some("log is synchronous and knows no socket".to_owned());
    }
    let (_, allowed, why) = KNOWLEDGE.iter().find(|(name, ..)| *name == to)?;
    (!allowed.contains(&from)).then(|| (*why).to_owned())
}

fn place(name: &str) -> Option<(usize, Layer)> {
    let rank = CRATES.iter().position(|(known, _)| *known == name)?;
    Some((rank, CRATES[rank].1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// A workspace from lines like `planner: model tokio`; `+name` is a development dependency.
    fn check(workspace: &str, wanted: Expect) {
        let packages: Vec<Package> = workspace
            .lines()
            .filter_map(|line| line.trim().split_once(':'))
            .map(|(name, uses)| Package {
                name: name.to_owned(),
                dependencies: uses
                    .split_whitespace()
                    .map(|word| match word.strip_prefix('+') {
                        Some(name) => Dependency { name: name.to_owned(), kind: Some("dev".to_owned()) },
                        None => Dependency { name: word.to_owned(), kind: None },
                    })
                    .collect(),
            })
            .collect();
        wanted.assert_eq(&wrong_arrows(&packages).join("\n"));
    }

    #[test]
    fn downward_is_fine() {
        check("model:\nplanner: model\nagent: planner model tokio\nlocal: agent model tokio", expect![""]);
    }

    #[test]
    fn upward_is_not() {
        check(
            "model: planner\nplanner:\nstore: control sqlx\ncontrol:",
            expect![[r#"
                model -> planner: Pure may not use Pure here
                store -> control: Adapter may not use Service here"#]],
        );
    }

    #[test]
    fn sideways_only_where_the_table_says_so() {
        check(
            "api: control\ncontrol:\nlocal: control",
            expect!["local -> control: Service may not use Service here"],
        );
    }

    #[test]
    fn some_downward_arrows_are_unwanted() {
        check(
            "api: store\nstore: sqlx\nbroker: store",
            expect![[r#"
                api -> store: routes go through control, so that each use case is one transaction in one place
                broker -> store: a broker knows no control plane"#]],
        );
    }

    #[test]
    fn knowledge_of_the_outside_has_its_place() {
        check(
            "planner: tokio\nlog: tokio rustix\ncontrol: sqlx",
            expect![[r#"
                planner -> tokio: pure crates reach the outside through traits only
                log -> tokio: log is synchronous and knows no socket
                control -> sqlx: only store contains SQL"#]],
        );
    }

    #[test]
    fn tests_may_hold_both_ends() {
        check("model: +planner +sqlx\nplanner:", expect![""]);
    }

    #[test]
    fn a_new_crate_needs_a_layer() {
        check("utils:", expect!["utils: a crate without a layer"]);
    }
}
