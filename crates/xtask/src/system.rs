//! Programs that the tests use and a package manager provides.
//!
//! Three lists: what every test run needs, what the benches need, and what a Kubernetes on this machine needs besides.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::bail;

use crate::run;

/// One need of the tests.
pub(crate) struct Need {
    /// What is looked for, for messages.
    what: &'static str,
    /// Debian's package.
    package: &'static str,
    /// What the tests do with it.
    purpose: &'static str,
    present: fn() -> bool,
}

/// For `cargo xtask test`.
pub(crate) const FOR_TESTS: &[Need] = &[
    Need {
        what: "Postgres",
        package: "postgresql",
        purpose: "the control plane's database",
        present: || !postgres::find::installations().is_empty(),
    },
    Need {
        what: "kcat",
        package: "kcat",
        purpose: "a Kafka client that somebody else wrote",
        present: || run::on_path("kcat"),
    },
    Need {
        what: "python3 with venv",
        package: "python3-venv",
        purpose: "Kafka clients from PyPI, and the flights of the demo",
        present: || quietly("python3", &["-c", "import venv, ensurepip"]),
    },
    Need {
        what: "node",
        package: "nodejs",
        purpose: "the unmodified Heroku CLI plugin",
        present: || run::on_path("node"),
    },
    Need {
        what: "npm",
        package: "npm",
        purpose: "the unmodified Heroku CLI plugin",
        present: || run::on_path("npm"),
    },
    Need {
        what: "chromedriver with Chromium",
        package: "chromium-driver",
        purpose: "the console in a browser",
        present: || run::on_path("chromedriver"),
    },
];

/// For `cargo xtask bench`.
pub(crate) const FOR_BENCH: &[Need] = &[
    Need {
        what: "java",
        package: "default-jre-headless",
        purpose: "Apache Kafka, to compare with",
        present: || run::on_path("java"),
    },
    Need { what: "mvn", package: "maven", purpose: "fetching Apache Kafka", present: || run::on_path("mvn") },
    Need {
        what: "make and a C compiler",
        package: "build-essential",
        purpose: "librdkafka's load generator",
        present: || run::on_path("make") && run::on_path("cc"),
    },
    Need {
        what: "taskset and setpriv",
        package: "util-linux",
        purpose: "giving broker and client a core each",
        present: || run::on_path("taskset") && run::on_path("setpriv"),
    },
];

/// For `cargo xtask kube`.
pub(crate) const FOR_KUBERNETES: &[Need] = &[
    Need {
        what: "containerd",
        package: "containerd",
        purpose: "the nodes' containers",
        present: || run::on_path("containerd") && run::on_path("ctr"),
    },
    Need {
        what: "runc",
        package: "runc",
        purpose: "the nodes' containers",
        present: || run::on_path("runc"),
    },
    Need {
        what: "network plugins",
        package: "containernetworking-plugins",
        purpose: "the network of pods",
        present: || Path::new("/usr/lib/cni/bridge").is_file(),
    },
    Need { what: "iptables", package: "iptables", purpose: "Services", present: || run::on_path("iptables") },
    Need {
        what: "conntrack",
        package: "conntrack",
        purpose: "Services",
        present: || run::on_path("conntrack"),
    },
    Need { what: "ip", package: "iproute2", purpose: "the nodes' network", present: || run::on_path("ip") },
    Need {
        what: "nsenter and unshare",
        package: "util-linux",
        purpose: "the nodes' namespaces",
        present: || run::on_path("nsenter") && run::on_path("unshare"),
    },
];

/// Installs what is missing where this process may (as root, with apt), and fails with the names of what is
/// still missing.
pub(crate) fn require(needs: &'static [Need]) -> anyhow::Result<()> {
    let missing = || needs.iter().filter(|need| !(need.present)()).collect::<Vec<_>>();
    if missing().is_empty() {
        return Ok(());
    }
    if is_root() && run::on_path("apt-get") {
        let packages: Vec<&str> = missing().iter().map(|need| need.package).collect();
        run::say(&format!("installing {} with apt-get", packages.join(", ")));
        run::run(apt().args(["update", "--quiet=2"]))?;
        run::run(apt().args(["install", "--yes", "--quiet=2", "--no-install-recommends"]).args(&packages))?;
    }
    let left = missing();
    if left.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = left.iter().map(|need| format!("{}: {}", need.what, need.purpose)).collect();
    let packages: Vec<&str> = left.iter().map(|need| need.package).collect();
    bail!(
        "programs are needed that are not installed:\n  {}\nOn Debian or Ubuntu: apt-get install {}",
        lines.join("\n  "),
        packages.join(" ")
    )
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    apt
}

fn quietly(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
