//! The two brokers that are compared, behind one face: how each is started on a fresh directory, where it listens,
//! and which process is measured.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::apache::Jars;
use crate::process::Process;
use crate::report::Side;
use crate::{clock, wire};

/// How long a broker may take until it answers a Metadata request; Apache Kafka with much data to check needs most.
const READY_LIMIT: Duration = Duration::from_secs(300);

/// What is needed to start either broker.
pub(crate) struct Brokers {
    /// Our binary.
    pub ours: PathBuf,
    /// Apache Kafka.
    pub jars: Jars,
}

/// A broker that answers.
pub(crate) struct Running {
    /// Whose it is.
    pub side: Side,
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub addr: SocketAddr,
    /// From the start of the process to the first Metadata response.
    pub ready_after: Duration,
    dir: PathBuf,
    properties: Vec<(String, String)>,
}

impl Brokers {
    /// Starts a broker on an empty directory below `dir`.
    pub(crate) fn start(&self, side: Side, dir: &Path, properties: &[(&str, &str)]) -> Result<Running> {
        let dir = dir.join(match side {
            Side::Ours => "ours",
            Side::Kafka => "kafka",
        });
        if dir.exists() {
            fs::remove_dir_all(&dir).context("empty the broker's directory")?;
        }
        fs::create_dir_all(&dir).context("create the broker's directory")?;
        let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let addr = free_address()?;
        if side == Side::Kafka {
            self.jars.format(&dir, addr, free_address()?, &properties)?;
        }
        self.launch(side, dir, addr, properties)
    }

    /// Starts a broker again on the directory and address that it had. Its process must have ended.
    pub(crate) fn restart(&self, stopped: Running) -> Result<Running> {
        let Running { side, addr, dir, properties, process, .. } = stopped;
        drop(process);
        self.launch(side, dir, addr, properties)
    }

    fn launch(
        &self,
        side: Side,
        dir: PathBuf,
        addr: SocketAddr,
        properties: Vec<(String, String)>,
    ) -> Result<Running> {
        let mut command = match side {
            Side::Ours => {
                let mut command = Command::new(&self.ours);
                command.arg("dev").arg("--data").arg(dir.join("data")).args(["--listen", &addr.to_string()]);
                for (key, value) in &properties {
                    command.args(["--set", &format!("{key}={value}")]);
                }
                command
            }
            Side::Kafka => self.jars.broker(&dir),
        };
        let started = clock::now();
        let mut process = Process::start(&mut command, &dir.join("log.txt"))?;
        while !answers(addr) {
            if process.has_ended()? || started.elapsed() > READY_LIMIT {
                let mut log = String::new();
                fs::File::open(dir.join("log.txt"))?.take(4_000).read_to_string(&mut log)?;
                bail!("the broker did not come up:\n{log}");
            }
            clock::pause(Duration::from_millis(1));
        }
        Ok(Running { side, process, addr, ready_after: started.elapsed(), dir, properties })
    }
}

fn answers(addr: SocketAddr) -> bool {
    TcpStream::connect_timeout(&addr, Duration::from_millis(200)).ok().is_some_and(|stream| {
        wire::Connection::over(stream).and_then(|mut wire| wire.brokers()).is_ok_and(|n| n > 0)
    })
}

/// An address that nothing listens on. Another process may take it meanwhile; the start then fails and says so.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    listener.local_addr().context("read the free port")
}
