//! Apache Kafka as Maven serves it: formatting a directory, and the command that runs one combined broker and controller.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::run;

/// The release that we compare ourselves with, as `tests/suites/java-tools/pom.xml` names it.
pub(crate) const VERSION: &str = "4.3.1";

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
    logging: PathBuf,
}

impl Jars {
    /// Takes the jars of a directory, and keeps beside the brokers' data what they are to log.
    pub(crate) fn open(lib: &Path, data: &Path) -> Result<Jars> {
        fs::create_dir_all(data).with_context(|| format!("create {}", data.display()))?;
        let logging = data.join(LOGGING_FILE);
        fs::write(&logging, LOGGING).with_context(|| format!("write {}", logging.display()))?;
        Ok(Jars { lib: lib.to_owned(), logging })
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
            .arg(format!("-Dlog4j2.configurationFile={}", self.logging.display()))
            .args(["-cp", &format!("{}/*", self.lib.display())]);
        command
    }
}
