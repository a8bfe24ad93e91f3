//! `rdkafka_performance`, librdkafka's own load generator, as a producer or consumer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The program.
pub(crate) struct Performance {
    binary: PathBuf,
}

impl Performance {
    pub(crate) fn at(binary: PathBuf) -> Performance {
        Performance { binary }
    }

    /// Produces `count` messages of `size` bytes over all partitions, waits for their acknowledgements, and returns
    /// megabytes (10^6) of payload a second.
    pub(crate) fn produce(
        &self,
        addr: SocketAddr,
        topic: &str,
        count: u64,
        size: u64,
        properties: &[&str],
        cores: Option<&str>,
    ) -> Result<f64> {
        let mut command = self.command(addr, topic, cores);
        command.args(["-P", "-c", &count.to_string(), "-s", &size.to_string()]);
        for property in properties {
            command.args(["-X", property]);
        }
        self.measure(&mut command, "messages produced", count)
    }

    /// Consumes `count` messages of one partition from the beginning, and returns megabytes a second.
    pub(crate) fn consume(
        &self,
        addr: SocketAddr,
        topic: &str,
        count: u64,
        cores: Option<&str>,
    ) -> Result<f64> {
        let mut command = self.command(addr, topic, cores);
        command.args(["-C", "-p", "0", "-o", "beginning", "-c", &count.to_string()]);
        command.args(["-X", "fetch.message.max.bytes=1048576", "-X", "queued.max.messages.kbytes=65536"]);
        self.measure(&mut command, "messages (", count)
    }

    fn command(&self, addr: SocketAddr, topic: &str, cores: Option<&str>) -> Command {
        let mut command = match cores {
            Some(cores) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cores]).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        command.args(["-b", &addr.to_string(), "-t", topic, "-q", "-i", "1000"]);
        command
    }

    /// Runs the program and reads the last line of figures that it printed.
    fn measure(&self, command: &mut Command, marker: &str, expected: u64) -> Result<f64> {
        let output = command.stdin(Stdio::null()).output().context("start rdkafka_performance")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text
            .lines()
            .rfind(|line| line.contains(marker) && line.contains("msgs/s"))
            .with_context(|| format!("rdkafka_performance printed no figures:\n{text}"))?;
        let (moved, mb_per_second) =
            parse(line).with_context(|| format!("unknown form of figures: {line}"))?;
        if moved < expected {
            bail!("rdkafka_performance moved {moved} of {expected} messages:\n{text}");
        }
        Ok(mb_per_second)
    }
}

/// Messages and MB/s of "% 1000 messages produced (1024000 bytes), … 12345 msgs/s and 12.34 MB/s …".
fn parse(line: &str) -> Option<(u64, f64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let messages = words.get(1)?.parse().ok()?;
    let unit = words.iter().position(|word| word.trim_end_matches([',', ')']) == "MB/s")?;
    let mb_per_second = words.get(unit.checked_sub(1)?)?.trim_start_matches('(').parse().ok()?;
    Some((messages, mb_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_the_programs_figures() {
        let produced = "% 1000000 messages produced (1024000000 bytes), 1000000 delivered (offset 0, 0 failed) \
                        in 2100ms: 476190 msgs/s and 487.62 MB/s, 0 produce failures, 0 in queue, no compression";
        let consumed = "% 500 messages (512000 bytes) consumed in 10ms: 50000 msgs/s (51.20 MB/s)";
        assert_eq!(parse(produced), Some((1_000_000, 487.62)));
        assert_eq!(parse(consumed), Some((500, 51.2)));
    }
}
