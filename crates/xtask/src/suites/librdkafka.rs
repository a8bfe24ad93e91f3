//! librdkafka's own tests, in C and C++, at their full volumes.
//!
//! The crate `rdkafka-sys` carries the whole sources. The runner takes a number and runs all tests whose names begin
//! with it, in one process; several processes run side by side, since most of the time is spent waiting.
//! [`table`] is the runner's own list of tests, read from its source: what needs no broker is left out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::broker::Broker;
use super::result::{Outcome, TestResult};
use super::{Setting, java_tools, limit, side_by_side};
use crate::{install, run};

/// Which behaviour the tests are told to expect.
const KAFKA_VERSION: &str = "4.3.1";

/// Processes at the same time. Tests measure time, so not more than two cores bear.
const SIDE_BY_SIDE: usize = 3;

/// The longest of the usual tests takes about two minutes.
const LIMIT_SECONDS: u32 = 240;

/// For the one that waits for some hundred rebalances of three seconds each.
const LONG_LIMIT_SECONDS: u32 = 900;

/// Tests that count rebalances, and so want members to wait for each other as they do by default.
const PATIENT: [&str; 2] = ["0102", "0113"];

/// What the runner's build needs besides a compiler: Debian's package, and a file of it. Without the first some tests
/// are compiled to nothing.
const LIBRARIES: [(&str, &str); 4] = [
    ("rapidjson-dev", "/usr/include/rapidjson/document.h"),
    ("libssl-dev", "/usr/include/openssl/ssl.h"),
    ("zlib1g-dev", "/usr/include/zlib.h"),
    ("libzstd-dev", "/usr/include/zstd.h"),
];

/// Which kind of broker a test wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Usual,
    /// One that makes no topics by itself.
    NoAutoCreation,
    /// One whose new groups wait for more members.
    Patient,
}

/// Tests that run together: a number, the broker, and the names that belong to them.
struct Group {
    number: String,
    kind: Kind,
    names: Vec<String>,
}

struct Brokers {
    usual: Broker,
    no_auto_creation: Broker,
    patient: Broker,
}

impl Brokers {
    fn of(&self, kind: Kind) -> &Broker {
        match kind {
            Kind::Usual => &self.usual,
            Kind::NoAutoCreation => &self.no_auto_creation,
            Kind::Patient => &self.patient,
        }
    }
}

pub(super) fn run(setting: &Setting<'_>) -> anyhow::Result<Vec<TestResult>> {
    let installed = install::once(&format!("librdkafka-{}", install::RDKAFKA_SYS), build)?;
    let sources = installed.join("librdkafka");
    let table = fs::read_to_string(sources.join("tests/test.c")).context("read the table of tests")?;
    let mut groups = groups(&table, |name| setting.filter.wants(name));
    ensure!(!groups.is_empty(), "no test of librdkafka has such a name");
    // The longest first, so that nothing long is left when all others are through.
    groups.sort_by_key(|group| (group.kind != Kind::Patient, group.number.clone()));

    let start = |name: &str, settings: &[&str]| {
        let settings = [&["num.partitions=4"], settings].concat();
        Broker::start(setting.broker, setting.scratch, name, &settings)
    };
    let brokers = Brokers {
        usual: start("usual", &[])?,
        no_auto_creation: start("no-auto-creation", &["auto.create.topics.enable=false"])?,
        patient: start("patient", &["group.initial.rebalance.delay.ms=3000"])?,
    };
    let tools = java_tools::jars(setting).ok().map(|jars| tools(&jars, setting.scratch)).transpose()?;

    side_by_side::run(groups, SIDE_BY_SIDE, |group| {
        run_group(&sources, &group, brokers.of(group.kind), setting, tools.as_deref())
    })
}

/// Fetches the sources, makes them fit a single broker of Kafka 4's kind, and builds the runner.
fn build(dir: &Path) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        LIBRARIES.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect();
    ensure!(missing.is_empty(), "packages are missing: apt-get install {}", missing.join(" "));
    install::crate_sources("rdkafka-sys", install::RDKAFKA_SYS, dir)?;
    let sources = dir.join("librdkafka");
    // Several tests ask for three replicas and are as good with one.
    install::patch(
        &sources.join("tests/test.c"),
        "rd_kafka_NewTopic_new(topicname, partition_cnt, replication_factor,",
        "rd_kafka_NewTopic_new(topicname, partition_cnt, 1,",
    )?;
    // Kafka 4 refuses segments below 1 MiB (KIP-1030).
    install::patch(
        &sources.join("tests/0129-fetch_aborted_msgs.c"),
        "\"segment.bytes\", \"20000\"",
        "\"segment.bytes\", \"1048576\"",
    )?;
    for script in ["configure", "lds-gen.py"] {
        fs::set_permissions(sources.join(script), fs::Permissions::from_mode(0o755))?;
    }
    let log = fs::File::create(dir.join("build.log"))?;
    let steps: [&[&str]; 3] = [
        &["./configure", "--disable-curl"],
        &["make", "-j2", "libs"],
        &["make", "-C", "tests", "-j2", "build"],
    ];
    for step in steps {
        let mut command = Command::new("nice");
        command.args(step).current_dir(&sources).stdout(log.try_clone()?).stderr(log.try_clone()?);
        run::run(&mut command).with_context(|| format!("see {}/build.log", dir.display()))?;
    }
    Ok(())
}

/// A folder that looks like an installation of Apache Kafka to the tests that call its scripts.
fn tools(jars: &Path, scratch: &Path) -> anyhow::Result<PathBuf> {
    let folder = scratch.join("kafka");
    fs::create_dir_all(folder.join("bin"))?;
    for (script, class) in [
        ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
        ("kafka-configs.sh", "kafka.admin.ConfigCommand"),
        ("kafka-acls.sh", "org.apache.kafka.tools.AclCommand"),
    ] {
        let text = format!(
            "#!/bin/sh\nexec java -Xmx128m -XX:+UseSerialGC -cp '{}/*' {class} \"$@\"\n",
            jars.display()
        );
        let path = folder.join("bin").join(script);
        fs::write(&path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(folder)
}

/// The tests that need a broker, from the runner's table: `_TEST(0107_topic_recreate, 0, …, .scenario = "noautocreate")`.
fn table(source: &str) -> Vec<(String, Kind)> {
    let mut tests = Vec::new();
    for entry in source.split("_TEST(").skip(1) {
        let Some((name, options)) = arguments(entry).split_once(',') else { continue };
        let is_name = name.len() > 5 && name.bytes().take(4).all(|byte| byte.is_ascii_digit());
        let needs_no_broker = options.contains("TEST_F_LOCAL") || name.ends_with("_mock");
        if !is_name || needs_no_broker || options.contains("TEST_F_MANUAL") {
            continue;
        }
        let kind = if options.contains("\"noautocreate\"") {
            Kind::NoAutoCreation
        } else if PATIENT.contains(&&name[..4]) {
            Kind::Patient
        } else {
            Kind::Usual
        };
        tests.push((name.to_owned(), kind));
    }
    tests
}

/// What stands before the parenthesis that closes the macro.
fn arguments(entry: &str) -> &str {
    let mut depth = 1;
    let end = entry.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    &entry[..end.unwrap_or(entry.len())]
}

/// What is to run: all names of a number together, unless they want different brokers.
fn groups(source: &str, wants: impl Fn(&str) -> bool) -> Vec<Group> {
    let mut groups: BTreeMap<(String, Kind), Vec<String>> = BTreeMap::new();
    for (name, kind) in table(source) {
        groups.entry((name[..4].to_owned(), kind)).or_default().push(name);
    }
    let groups = groups.into_iter().filter(|(_, names)| names.iter().any(|name| wants(name)));
    groups.map(|((number, kind), names)| Group { number, kind, names }).collect()
}

fn run_group(
    sources: &Path,
    group: &Group,
    broker: &Broker,
    setting: &Setting<'_>,
    tools: Option<&Path>,
) -> anyhow::Result<Vec<TestResult>> {
    let stem = format!("{}-{:?}", group.number, group.kind);
    let file = |suffix: &str| setting.scratch.join(format!("{stem}.{suffix}"));
    let (config, report) = (file("conf"), file("json"));
    fs::write(
        &config,
        format!(
            "bootstrap.servers={}\ntest.timeout.multiplier=1.5\ntest.topic.prefix=t{stem}\ntest.topic.random=true\n",
            broker.address
        ),
    )?;
    let seconds = if group.kind == Kind::Patient { LONG_LIMIT_SECONDS } else { LIMIT_SECONDS };
    let mut command = limit::limited(seconds, "./test-runner");
    // One test at a time in this process, none that needs no broker, and not the quick mode, which empties tests.
    command.args(["-p1", "-L", "-V", KAFKA_VERSION]).current_dir(sources.join("tests"));
    if group.kind == Kind::NoAutoCreation {
        command.args(["-s", "noautocreate"]);
    }
    command.env("TESTS", &group.number).env("TEST_REPORT", &report).env("TEST_LEVEL", "2");
    command.env("RDKAFKA_TEST_CONF", &config).env("BROKERS", &broker.address);
    command.env("LD_LIBRARY_PATH", format!("{0}/src:{0}/src-cpp", sources.display()));
    if let Some(tools) = tools {
        command.env("KAFKA_PATH", tools);
    }
    let ended = limit::run(&mut command, file("log"))?;
    let log = String::from_utf8_lossy(&fs::read(&ended.log)?).into_owned();
    // A runner that crashed or was ended leaves no report, or a part of one.
    let report: serde_json::Value = fs::read_to_string(&report)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let result = |name: &String| {
        let test = &report["tests"][name.as_str()];
        let took = test["duration"].as_f64().map_or(ended.took, Duration::from_secs_f64);
        let (outcome, why) = match test["state"].as_str() {
            Some("PASSED") => (Outcome::Passed, String::new()),
            Some("SKIPPED") => (Outcome::Skipped, said(&log, "SKIPPING TEST: ")),
            _ if ended.why == "time limit" => (Outcome::Failed, ended.why.clone()),
            _ => (Outcome::Failed, said(&log, "failed at ")),
        };
        setting.note(name, outcome, took, &why)
    };
    Ok(group.names.iter().map(result).collect())
}

/// What follows `marker` in the first line of the runner that has it, without its colours.
fn said(log: &str, marker: &str) -> String {
    const SHOWN_CHARS: usize = 150;
    let line =
        log.lines().find_map(|line| line.split_once(marker)).map_or("no reason given", |(_, rest)| rest);
    let mut plain = String::new();
    let mut in_colour = false;
    for c in line.chars() {
        match c {
            '\u{1b}' => in_colour = true,
            'm' if in_colour => in_colour = false,
            _ if !in_colour => plain.push(c),
            _ => {}
        }
    }
    plain.trim().chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
#define _TEST(NAME, FLAGS, ...) {.name = #NAME}
struct test tests[] = {
    _TEST(0000_unittests, TEST_F_LOCAL,
          .extra = "x"),
    _TEST(0001_multiobj, 0),
    _TEST(0045_subscribe_update, 0, TEST_BRKVER(0, 9, 0, 0)),
    _TEST(0045_subscribe_update_topic_remove,
          0,
          TEST_BRKVER(0, 9, 0, 0),
          .scenario = "noautocreate"),
    _TEST(0045_subscribe_update_mock, TEST_F_LOCAL),
    _TEST(0048_partitioner,
          0,
          _THRES(.ucpu = 10.0, .scpu = 5.0)),
    _TEST(0102_static_group_rebalance, 0, TEST_BRKVER(2, 3, 0, 0)),
    _TEST(8000_idle, TEST_F_MANUAL),
"#;

    #[test]
    fn tests_that_need_a_broker_are_grouped_by_number_and_broker() {
        let shown: Vec<String> = groups(TABLE, |_| true)
            .iter()
            .map(|group| format!("{} {:?} {}", group.number, group.kind, group.names.join(" ")))
            .collect();
        expect_test::expect![[r#"
            0001 Usual 0001_multiobj
            0045 Usual 0045_subscribe_update
            0045 NoAutoCreation 0045_subscribe_update_topic_remove
            0048 Usual 0048_partitioner
            0102 Patient 0102_static_group_rebalance"#]]
        .assert_eq(&shown.join("\n"));
        assert_eq!(groups(TABLE, |name| name.contains("remove")).len(), 1);
    }

    #[test]
    fn reasons_lose_their_colours() {
        assert_eq!(said("\u{1b}[31m### Test failed at 0011.c:7\u{1b}[0m", "failed at "), "0011.c:7");
    }
}
