//! Programs that the tests use and a package manager provides.

use std::process::{Command, Stdio};

use anyhow::bail;

use crate::run;

/// One need of the tests.
struct Need {
    /// What is looked for, for messages.
    what: &'static str,
    /// Debian's package.
    package: &'static str,
    /// What the tests do with it.
    purpose: &'static str,
    present: fn() -> bool,
}

const NEEDS: &[Need] = &[
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
];

/// Installs what is missing where this process may (as root, with apt), and fails with the names of what is
/// still missing.
pub(crate) fn require() -> anyhow::Result<()> {
    if missing().is_empty() {
        return Ok(());
    }
    if may_install() {
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
        "the tests need programs that are not installed:\n  {}\nOn Debian or Ubuntu: apt-get install {}",
        lines.join("\n  "),
        packages.join(" ")
    )
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !(need.present)()).collect()
}

fn may_install() -> bool {
    let root = run::output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0");
    root && run::on_path("apt-get")
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
