//! Apache Kafka's own command line tools and system-test clients, from Maven, against our broker.
//!
//! A case is a function of a script in `tests/suites/java-tools`; `run.sh --list` names them all.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;

use super::broker::Broker;
use super::result::TestResult;
use super::{Setting, limit, side_by_side};
use crate::{install, run};

/// The cases of `--smoke`: records through every codec, with keys and headers; topics, settings and groups from their
/// making to their end; members that leave. About seventy starts of a JVM.
pub(super) const SMOKE: [&str; 7] = [
    "configs-topic",
    "console-codecs",
    "console-keys-headers-tombstones",
    "delete-records",
    "groups-cycle",
    "rebalance-cooperative",
    "topics-cycle",
];

/// JVMs take a second of one core to start, and much of a case is starting them.
const SIDE_BY_SIDE: usize = 2;

/// The longest case takes about half of it on two idle cores.
const LIMIT_SECONDS: u32 = 150;

pub(super) fn run(setting: &Setting<'_>) -> anyhow::Result<Vec<TestResult>> {
    let script = setting.pieces.join("java-tools/run.sh");
    let jars = jars(setting)?;
    let list = run::output(Command::new("bash").arg(&script).arg("--list"))?;
    let wants = |case: &str| (!setting.filter.smoke || SMOKE.contains(&case)) && setting.filter.wants(case);
    let cases: Vec<&str> = list.lines().filter(|case| wants(case)).collect();
    ensure!(!cases.is_empty(), "no case of java-tools has such a name");
    let broker = Broker::start(setting.broker, setting.scratch, "broker", &["num.partitions=4"])?;
    side_by_side::run(cases, SIDE_BY_SIDE, |case| {
        let dir = setting.scratch.join(case);
        fs::create_dir(&dir)?;
        let mut command = limit::limited(LIMIT_SECONDS, "bash");
        command.arg(&script).arg(case).current_dir(&dir);
        command.env("BOOTSTRAP", &broker.address).env("JARS", &jars);
        let ended = limit::run(&mut command, dir.join("case.log"))?;
        Ok(vec![setting.note(case, ended.outcome, ended.took, &ended.why)])
    })
}

/// The directory with all jars that the tools need.
pub(super) fn jars(setting: &Setting<'_>) -> anyhow::Result<PathBuf> {
    install::kafka_jars(&setting.pieces.join("java-tools/pom.xml"))
}
