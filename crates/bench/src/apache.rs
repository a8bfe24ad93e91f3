//! Apache Kafka as Maven serves it: fetching its jars once into the user's cache, formatting a directory, and the
//! command that runs one combined broker and controller.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::run;

/// The release that we compare ourselves with.
pub(crate) const VERSION: &str = "4.3.1";

/// The release of the logging library that this Kafka comes with; its bridge is a package of its own.
const LOG4J_VERSION: &str = "2.25.4";

/// Warnings and errors to standard output, so that a broker that does not start says why.
const LOGGING: &str = "<Configuration><Appenders><Console name=\"out\"><PatternLayout pattern=\"%d %p %m (%c)%n\"/>\
    </Console></Appenders><Loggers><Root level=\"warn\"><AppenderRef ref=\"out\"/></Root></Loggers></Configuration>";

/// Heap of the reference broker: 1 GB, what Apache's own start script gives it.
const HEAP: &str = "1g";

const LOGGING_FILE: &str = "log4j2.xml";

/// The collector as Apache's own start script sets it.
const COLLECTOR: [&str; 4] = [
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// A directory of jars.
pub(crate) struct Jars {
    lib: PathBuf,
}

impl Jars {
    /// Fetches the jars below `cache` unless they are there.
    pub(crate) fn fetch(cache: &Path) -> Result<Jars> {
        let dir = cache.join(format!("apache-kafka-{VERSION}"));
        let done = dir.join("complete");
        let jars = Jars { lib: dir.join("lib") };
        if done.exists() {
            return Ok(jars);
        }
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        let artifacts = [
            ("org.apache.kafka", "kafka_2.13", VERSION),
            ("org.apache.kafka", "kafka-tools", VERSION),
            ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
        ];
        let dependencies: String = artifacts
            .iter()
            .map(|(group, artifact, version)| {
                format!(
                    "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
                     <version>{version}</version></dependency>"
                )
            })
            .collect();
        fs::write(
            dir.join("pom.xml"),
            format!(
                "<project><modelVersion>4.0.0</modelVersion><groupId>bench</groupId><artifactId>bench</artifactId>\
                 <version>1</version><dependencies>{dependencies}</dependencies></project>"
            ),
        )?;
        run(Command::new("mvn")
            .current_dir(&dir)
            .args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", jars.lib.display())))
        .context("fetch Apache Kafka through Maven (is `mvn` installed?)")?;
        fs::write(jars.lib.join(LOGGING_FILE), LOGGING)?;
        fs::write(done, "")?;
        Ok(jars)
    }

    /// Writes the configuration and formats the storage of one node.
    pub(crate) fn format(
        &self,
        dir: &Path,
        broker: SocketAddr,
        controller: SocketAddr,
        settings: &[&str],
    ) -> Result<()> {
        let mut config = format!(
            "process.roles=broker,controller\nnode.id=0\ncontroller.quorum.voters=0@{controller}\n\
             listeners=PLAINTEXT://{broker},CONTROLLER://{controller}\nadvertised.listeners=PLAINTEXT://{broker}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlog.dirs={}\n\
             offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nauto.create.topics.enable=true\n",
            dir.join("data").display()
        );
        config.push_str(&settings.join("\n"));
        let path = dir.join("server.properties");
        fs::write(&path, config).context("write the configuration of Apache Kafka")?;
        run(self
            .java("256m")
            .args(["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"])
            .arg(&path))
        .context("format the storage of Apache Kafka")
    }

    /// The command that runs the broker of a formatted directory.
    pub(crate) fn broker(&self, dir: &Path) -> Command {
        let mut command = self.java(HEAP);
        command.arg("kafka.Kafka").arg(dir.join("server.properties"));
        command
    }

    fn java(&self, heap: &str) -> Command {
        let mut command = Command::new("java");
        command
            .args(["-server", &format!("-Xms{heap}"), &format!("-Xmx{heap}")])
            .args(COLLECTOR)
            .arg(format!("-Dlog4j2.configurationFile={}", self.lib.join(LOGGING_FILE).display()))
            .args(["-cp", &format!("{}/*", self.lib.display())]);
        command
    }
}
