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
}

/// A broker's part in a scenario, as far as it matters to its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is stopped for minutes while others have their turn.
    TakesTurns,
    /// It is started, used, killed.
    Alone,
}

/// A setting of either broker: a deleted topic gives its room back at once, and not while the next load is measured.
const DELETE_SOON: &str = "log.segment.delete.delay.ms=0";

/// Apache Kafka must not take itself for dead after it was stopped. With this setting a killed broker, on the other
/// hand, would have to wait for its own session to end before it may come back.
const LONG_SESSION: &str = "broker.session.timeout.ms=3600000";

impl Brokers {
    /// Starts a broker on an empty directory below `dir`.
    pub(crate) fn start(&self, side: Side, role: Role, dir: &Path) -> Result<Running> {
        let dir = dir.join(match side {
            Side::Ours => "ours",
            Side::Kafka => "kafka",
        });
        if dir.exists() {
            fs::remove_dir_all(&dir).context("empty the broker's directory")?;
        }
        fs::create_dir_all(&dir).context("create the broker's directory")?;
        let addr = free_address()?;
        if side == Side::Kafka {
            let settings: &[&str] = match role {
                Role::TakesTurns => &[DELETE_SOON, LONG_SESSION],
                Role::Alone => &[DELETE_SOON],
            };
            self.jars.format(&dir, addr, free_address()?, settings)?;
        }
        self.launch(side, dir, addr)
    }

    /// Starts a broker again on the directory and address that it had. Its process must have ended.
    pub(crate) fn restart(&self, stopped: Running) -> Result<Running> {
        let Running { side, addr, dir, process, .. } = stopped;
        drop(process);
        self.launch(side, dir, addr)
    }

    fn launch(&self, side: Side, dir: PathBuf, addr: SocketAddr) -> Result<Running> {
        let command = match side {
            Side::Ours => {
                let mut command = Command::new(&self.ours);
                command.arg("dev").arg("--data").arg(dir.join("data")).args(["--listen", &addr.to_string()]);
                command.args(["--set", DELETE_SOON]);
                command
            }
            Side::Kafka => self.jars.broker(&dir),
        };
        let started = clock::now();
        let mut process = Process::start(&command, &dir.join("log.txt"))?;
        while !answers(addr) {
            if process.has_ended()? || started.elapsed() > READY_LIMIT {
                let mut log = String::new();
                fs::File::open(dir.join("log.txt"))?.take(4_000).read_to_string(&mut log)?;
                bail!("the broker did not come up:\n{log}");
            }
            clock::pause(Duration::from_millis(1));
        }
        Ok(Running { side, process, addr, ready_after: started.elapsed(), dir })
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
