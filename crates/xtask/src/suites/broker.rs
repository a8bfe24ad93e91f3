//! A broker for a suite: started with the settings that it wants, ended with it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

/// What every suite takes for granted: the node id that one of them names, groups that do not wait for company, and
/// sessions as short as one of them asks for.
const COMMON: [&str; 3] =
    ["node.id=0", "group.initial.rebalance.delay.ms=0", "group.min.session.timeout.ms=1000"];

/// A running broker.
pub(super) struct Broker {
    child: Child,
    /// `127.0.0.1:port`; a literal, since some clients resolve names to several addresses.
    pub(super) address: String,
}

impl Broker {
    /// Starts a broker whose data and log lie in `scratch/name`; `settings` are laid over [`COMMON`].
    pub(super) fn start(
        program: &Path,
        scratch: &Path,
        name: &str,
        settings: &[&str],
    ) -> anyhow::Result<Broker> {
        let dir = scratch.join(name);
        std::fs::create_dir_all(&dir)?;
        let mut command = Command::new(program);
        command.arg("dev").arg("--data").arg(dir.join("data")).args(["--listen", "127.0.0.1:0"]);
        for setting in COMMON.iter().chain(settings) {
            command.args(["--set", setting]);
        }
        let log = File::create(dir.join("broker.log"))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let mut ready = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut ready)?;
        }
        let address = address_of(&ready).map(str::to_owned);
        let broker = Broker { child, address: address.unwrap_or_default() };
        ensure!(!broker.address.is_empty(), "the broker did not start, see {}/broker.log", dir.display());
        Ok(broker)
    }
}

/// The address in a ready line: `ready node.id=0 listeners=PLAINTEXT://127.0.0.1:4711 …`.
fn address_of(ready: &str) -> Option<&str> {
    ready.split_once("listeners=PLAINTEXT://")?.1.split([' ', ',', '\n']).next()
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Nobody needs what it holds.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_the_address() {
        let ready = "ready node.id=0 listeners=PLAINTEXT://127.0.0.1:4711 recovered_logs=0 took_ms=3\n";
        assert_eq!(address_of(ready), Some("127.0.0.1:4711"));
        assert_eq!(address_of(""), None);
    }
}
